import { describe, expect, it } from "vitest";

import {
  align,
  chooseStep,
  DEFAULT_RANGE,
  fixedRange,
  formatBound,
  HOUR,
  isLive,
  lastRange,
  MINUTE,
  NARROWEST,
  parseBound,
  parseRange,
  presetOf,
  resolve,
  SECOND,
  shiftBy,
  zoomBy,
  zoomTo,
} from "../src/time/range";

const NOW = Date.parse("2026-11-20T12:00:00Z");

describe("bounds of the URL", () => {
  it("read back as they were written", () => {
    for (const text of ["now", "now-15m", "now-90s", "now-24h", "now-7d", "now-2w", "2026-11-20T11:30:00.000Z"]) {
      const bound = parseBound(text);
      expect(bound, text).toBeDefined();
      if (bound) expect(parseBound(formatBound(bound)), text).toEqual(bound);
    }
  });

  it("are also epoch seconds and milliseconds", () => {
    expect(parseBound(String(NOW / 1000))).toEqual({ kind: "fixed", at: NOW });
    expect(parseBound(String(NOW))).toEqual({ kind: "fixed", at: NOW });
  });

  it("are refused when they make no sense", () => {
    for (const text of ["", "now+5m", "now-", "now-5y", "yesterday", "12", "now-999999999w", "<script>"]) {
      expect(parseBound(text), text).toBeUndefined();
    }
  });
});

describe("ranges", () => {
  it("move with now when they end there", () => {
    const range = parseRange("now-15m", "now", NOW);
    expect(range).toEqual(DEFAULT_RANGE);
    expect(range && isLive(range)).toBe(true);
    expect(range && resolve(range, NOW + HOUR)).toEqual({ from: NOW + 45 * MINUTE, to: NOW + HOUR });
    expect(range && presetOf(range)).toBe("15m");
    expect(presetOf(lastRange(7 * 24 * HOUR))).toBe("7d");
  });

  it("are refused backwards or too narrow", () => {
    expect(parseRange("now", "now-1h", NOW)).toBeUndefined();
    expect(parseRange("now-5s", "now", NOW)).toBeUndefined();
  });

  it("become fixed by a zoom, whichever way it was dragged, and never too narrow", () => {
    expect(zoomTo(NOW, NOW - HOUR)).toEqual(fixedRange(NOW - HOUR, NOW));
    const narrow = resolve(zoomTo(NOW, NOW + 1), NOW);
    expect(narrow.to - narrow.from).toBeGreaterThanOrEqual(NARROWEST);
  });

  it("stay live when zoomed by a key, and do not pass now when shifted", () => {
    expect(zoomBy(lastRange(HOUR), 0.5, NOW)).toEqual(lastRange(30 * MINUTE));
    expect(shiftBy(fixedRange(NOW - 2 * HOUR, NOW - HOUR), 5, NOW)).toEqual(fixedRange(NOW - HOUR, NOW));
    expect(shiftBy(lastRange(HOUR), -0.5, NOW)).toEqual(fixedRange(NOW - 90 * MINUTE, NOW - 30 * MINUTE));
  });
});

describe("steps", () => {
  it("are round, not finer than the samples, and few enough", () => {
    expect(chooseStep(5 * MINUTE, 480, SECOND)).toBe(SECOND);
    expect(chooseStep(5 * MINUTE, 480, 5 * SECOND)).toBe(5 * SECOND);
    for (const width of [MINUTE, HOUR, 6 * HOUR, 24 * HOUR, 7 * 24 * HOUR, 300 * 24 * HOUR]) {
      expect(width / chooseStep(width, 480, SECOND)).toBeLessThanOrEqual(480);
    }
  });

  it("make a grid that does not depend on when it is asked", () => {
    const step = 15 * SECOND;
    const cut = align({ from: NOW - HOUR + 123, to: NOW + 456 }, step);
    expect([cut.from % step, cut.to % step]).toEqual([0, 0]);
    expect(cut.to).toBe(NOW);
  });
});
