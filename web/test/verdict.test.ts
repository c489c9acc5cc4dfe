import { describe, expect, it } from "vitest";

import type { Component, HealthAnswer } from "../src/data/types";
import { pathOf } from "../src/parts/path";
import { sentence } from "../src/pages/overview/sentence";

const health = (status: HealthAnswer["status"], components: Component[] = []): HealthAnswer => ({ status, timestamp: "", components });

describe("the sentence", () => {
  it("says that all is well, and for whom", () => {
    expect(sentence(health("healthy"), "nas-01", 0)).toBe("All is well with nas-01. No targets are watched yet.");
    expect(sentence(health("healthy"), "nas-01", 1)).toBe("All is well: nas-01 and its target work as expected.");
    expect(sentence(health("healthy"), "nas-01", 3)).toBe("All is well: nas-01 and all 3 targets work as expected.");
  });

  it("names the worst part first", () => {
    const parts: Component[] = [
      { name: "storage", status: "degraded", message: "/data is 96 % full" },
      { name: "pg1", status: "unhealthy", message: "refused" },
      { name: "database", status: "unhealthy", message: "no server answers" },
      { name: "store", status: "healthy", message: "" },
    ];
    expect(sentence(health("unhealthy", parts), "nas-01", 1)).toBe("pg1: refused, and 1 more");
  });
});

describe("small lines", () => {
  it("break at a gap and show a lone value as a dot", () => {
    expect(pathOf([0, 10, null, 5, null, 0, 0], 10, 60, 10)).toBe("M0.0 9.0h0L10.0 1.0M30.0 5.0h0M50.0 9.0h0L60.0 9.0");
  });
});
