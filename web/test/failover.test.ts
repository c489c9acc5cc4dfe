import { describe, expect, test } from "vitest";

import type { Group, JournalRow, Member } from "../src/data/types";
import { topologyOf, type Box } from "../src/pages/failover/layout";
import { atStake, chaptersOf, lossOf, sentenceOf, toneOfGroup } from "../src/pages/failover/sentence";

function member(name: string, given: Partial<Member> = {}): Member {
  return { name, role: "standby", state: "standby", breaker: "closed", attached: true, fenced: false, needs_rejoin: false, lag_bytes: 0, ...given };
}

function group(given: Partial<Group> = {}): Group {
  return {
    name: "main",
    kind: "postgres",
    tier: "async",
    guarantee: "",
    mode: "auto",
    state: "steady",
    active: "pg1",
    epoch: 1,
    endpoint: "127.0.0.1:6432",
    diverged: false,
    findings: [],
    would_promote: "pg2",
    expected_rpo_bytes: 0,
    expected_rto_ms: 3500,
    members: [member("pg1", { state: "active", role: "primary", attached: false }), member("pg2"), member("pg3", { attached: false })],
    ...given,
  };
}

const apart = (a: Box, b: Box) => a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;

describe("a topology", () => {
  test("fits its drawing, and no box covers another, in both widths", () => {
    for (const wide of [true, false]) {
      for (let count = 1; count <= 7; count += 1) {
        const members = Array.from({ length: count }, (_, i) => member(`pg${i + 1}`, { state: i === 0 ? "active" : "standby" }));
        const drawn = topologyOf(group({ members }), wide);
        const boxes = [drawn.apps, drawn.endpoint, ...drawn.members];
        for (const [i, box] of boxes.entries()) {
          expect(box.x >= 0 && box.y >= 0 && box.x + box.w <= drawn.width && box.y + box.h <= drawn.height).toBe(true);
          for (const other of boxes.slice(i + 1)) expect(apart(box, other)).toBe(true);
        }
      }
    }
  });

  test("draws the route to the active member, and streams to those that are attached", () => {
    const { links, end } = topologyOf(group(), true);
    expect(links.filter((link) => link.kind === "route").map((link) => link.to)).toEqual(["pg1"]);
    expect(links.filter((link) => link.kind === "stream").map((link) => link.to)).toEqual(["pg2"]);
    expect(end).toBeUndefined();
  });

  test("without a route it ends beside the endpoint", () => {
    for (const wide of [true, false]) {
      const { links, end, width } = topologyOf(group({ active: null }), wide);
      expect(links.map((link) => link.kind)).toEqual(["apps", "none"]);
      expect(end && end.x < width).toBe(true);
    }
  });
});

describe("how a group stands", () => {
  test("is said with who would take over and what would be lost", () => {
    expect(sentenceOf(group())).toMatch(/^pg1 serves\. If it died now, pg2 would take over within about 3\.5 s\./);
    expect(sentenceOf(group({ active: null, state: "promoting" }))).toBe("No member serves. A standby is being promoted.");
  });

  test("never promises for an asynchronous standby what only a synchronous one gives", () => {
    expect(lossOf({ tier: "sync", expected_rpo_bytes: 0 })).toBe("Nothing that was acknowledged would be lost.");
    expect(lossOf({ tier: "async", expected_rpo_bytes: 0 })).not.toContain("Nothing");
    expect(lossOf({ tier: "async", expected_rpo_bytes: 2048 })).toContain("2 KiB");
    expect(lossOf({ tier: "async", expected_rpo_bytes: null })).toContain("not known");
  });

  test("is not well when nobody could take over", () => {
    expect(toneOfGroup(group())).toBe("ok");
    expect(toneOfGroup(group({ would_promote: null }))).toBe("warn");
    expect(toneOfGroup(group({ state: "refused" }))).toBe("bad");
    expect(toneOfGroup(group({ state: "paused" }))).toBe("warn");
  });
});

describe("what a failover may lose", () => {
  test("names the lag of the chosen member", () => {
    const lagging = group({ members: [member("pg1", { state: "active" }), member("pg2"), member("pg3", { lag_bytes: 4096 })] });
    expect(atStake(lagging, "pg3", false)[0]).toContain("What pg3 has not received: 4 KiB");
    expect(atStake(lagging, "", false)[0]).toContain("What pg2 has not received");
  });

  test("is nothing only where the tier excludes it and nothing is overridden", () => {
    const sync = group({ tier: "sync" });
    expect(atStake(sync, "", false)[0]).toBe("Nothing that was acknowledged.");
    expect(atStake(sync, "", true).join()).not.toContain("Nothing");
    expect(atStake(sync, "pg3", false)[0]).toContain("pg3");
  });

  test("is not known where the lag is not", () => {
    const blind = group({ would_promote: null, members: [member("pg1", { state: "down" }), member("pg2", { lag_bytes: null })] });
    expect(atStake(blind, "pg2", false)[0]).toContain("cannot be told");
  });
});

describe("the journal", () => {
  const row = (number: number, epoch: number, step: string, at: number): JournalRow => ({ number, epoch, step, detail: "", at: new Date(at).toISOString() });

  test("is told by epoch, the newest first, each from its beginning", () => {
    const rows = [row(4, 2, "route", 1500), row(3, 2, "cut", 1200), row(2, 2, "begin", 1000), row(1, 1, "enrolled", 0)];
    const chapters = chaptersOf(rows);
    expect(chapters.map(({ epoch, took }) => [epoch, took])).toEqual([[2, 500], [1, undefined]]);
    expect(chapters[0]?.rows.map((one) => one.step)).toEqual(["begin", "cut", "route"]);
  });

  test("says nothing about how long one took that was given up", () => {
    expect(chaptersOf([row(1, 2, "begin", 0), row(2, 2, "aborted", 9000)])[0]?.took).toBeUndefined();
  });
});
