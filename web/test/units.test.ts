import { describe, expect, it } from "vitest";

import { age, bytes, bytesPerSecond, celsius, count, duration, latency, NOTHING, parseSpan, percent, perSecond, significant } from "../src/text/units";

describe("numbers", () => {
  it("have three significant digits and no noise", () => {
    expect([0, 0.00012, 0.012, 0.5, 1, 1.234, 12.34, 99.96, 123.4, 1234].map(significant)).toEqual([
      "0", "0", "0.012", "0.5", "1", "1.23", "12.3", "100", "123", "1234",
    ]);
    expect(significant(-12.34)).toBe("-12.3");
  });

  it("are a dash when they are missing, never zero", () => {
    for (const format of [bytes, bytesPerSecond, percent, count, perSecond, latency, celsius]) {
      for (const missing of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY]) expect(format(missing)).toBe(NOTHING);
    }
  });

  it("have binary prefixes for bytes and decimal ones for counts", () => {
    expect([0, 512, 1023.9, 1536, 1024 ** 2, 5.2 * 1024 ** 3, 3 * 1024 ** 6].map(bytes)).toEqual([
      "0 B", "512 B", "1 KiB", "1.5 KiB", "1 MiB", "5.2 GiB", "3072 PiB",
    ]);
    expect(bytesPerSecond(2048)).toBe("2 KiB/s");
    expect([7, 999.9, 1500, 2.5e6].map(count)).toEqual(["7", "1 k", "1.5 k", "2.5 M"]);
    expect(perSecond(3)).toBe("3/s");
  });

  it("say that a small share is not nothing", () => {
    expect([0, 0.01, 0.06, 12.345, 100].map(percent)).toEqual(["0 %", "<0.1 %", "0.1 %", "12.3 %", "100 %"]);
  });

  it("switch from milliseconds to seconds", () => {
    expect([0.42, 48.04, 999, 1234].map(latency)).toEqual(["0.42 ms", "48 ms", "999 ms", "1.23 s"]);
  });
});

describe("durations", () => {
  it("are short when they are ages and longer when they are durations", () => {
    expect([0, 14_900, 61_000, 7_200_000, 300_000_000].map(age)).toEqual(["0 s", "14 s", "1 min", "2 h", "3 d"]);
    expect([0, 1000, 61_000, 7_200_000, 273_600_000].map(duration)).toEqual(["0 s", "1 s", "1 min 1 s", "2 h", "3 d 4 h"]);
  });

  it("of the configuration are read", () => {
    expect(["1s", "500ms", "2m", "1.5h"].map(parseSpan)).toEqual([1000, 500, 120_000, 5_400_000]);
    expect(parseSpan("1")).toBeUndefined();
  });
});
