import { describe, expect, it } from "vitest";

import { gridOf, joins, keyOf, latest, merge, rate, stack, sum, times, zip, type Grid, type Value } from "../src/data/series";
import type { RangeAnswer, WireNumber } from "../src/data/types";

function answer(start: number, step: number, values: Record<string, WireNumber[]>): RangeAnswer {
  const length = Math.max(0, ...Object.values(values).map((list) => list.length));
  return {
    start: new Date(start).toISOString(),
    end: new Date(start + (length - 1) * step).toISOString(),
    start_ms: start,
    step_ms: step,
    resolutions: ["raw"],
    series: Object.entries(values).map(([device, list]) => ({ query: 0, name: "bytes", labels: { device }, values: list })),
  };
}

const of = (grid: Grid, device: string): Value[] | undefined => grid.series.get(keyOf("bytes", { device }))?.values;

describe("rates", () => {
  it("are per second and one fewer than the values", () => {
    expect(rate([10, 20, 50], 2000)).toEqual([5, 15]);
  });

  it("start again from zero after a reset", () => {
    expect(rate([100, 110, 4, 9], 1000)).toEqual([10, 4, 5]);
  });

  it("never cross a gap", () => {
    expect(rate([1, null, 5, 6, null], 1000)).toEqual([null, null, 1, null]);
  });

  it("go with the times of the grid", () => {
    const grid = gridOf(answer(1000, 1000, { a: [1, 2, 4] }));
    expect(times(grid)).toEqual([2000, 3000]);
    expect(rate(of(grid, "a") ?? [], grid.step)).toHaveLength(2);
  });
});

describe("what arrives", () => {
  it("has a gap where no number can be drawn", () => {
    const grid = gridOf(answer(0, 1000, { a: [1, "NaN", "+Inf", "-Inf", null, 2] }));
    expect(of(grid, "a")).toEqual([1, null, null, null, null, 2]);
  });

  it("has the same key whatever the order of its labels", () => {
    expect(keyOf("x", { b: "1", a: "2" })).toBe(keyOf("x", { a: "2", b: "1" }));
    expect(keyOf("x", { a: "1,b=2" })).not.toBe(keyOf("x", { a: "1", b: "2" }));
  });
});

describe("merging", () => {
  const held = gridOf(answer(0, 1000, { a: [0, 1, 2, 3], gone: [7, 7, null, null] }));

  it("takes the newer value where both have one, and drops what left the window", () => {
    const next = gridOf(answer(2000, 1000, { a: [20, 30, 40], gone: [], late: [null, null, 5] }));
    const merged = merge(held, next, 2000);
    expect(merged.start).toBe(2000);
    expect(of(merged, "a")).toEqual([20, 30, 40]);
    expect(of(merged, "late")).toEqual([null, null, 5]);
  });

  it("keeps the older part of the window", () => {
    const merged = merge(held, gridOf(answer(3000, 1000, { a: [30, 40] })), 1000);
    expect(of(merged, "a")).toEqual([1, 2, 30, 40]);
    expect(of(merged, "gone")).toEqual([7, null, null, null]);
  });

  it("forgets a series that has nothing left in the window", () => {
    const merged = merge(held, gridOf(answer(3000, 1000, { a: [30, 40] })), 2000);
    expect(of(merged, "gone")).toBeUndefined();
  });

  it("leaves a gap for a series that stopped", () => {
    const merged = merge(held, gridOf(answer(4000, 1000, { b: [1] })), 0);
    expect(of(merged, "a")).toEqual([0, 1, 2, 3, null]);
    expect(of(merged, "b")).toEqual([null, null, null, null, 1]);
  });

  it("never holds more than the window", () => {
    let grid = held;
    for (let second = 4; second < 500; second += 1) {
      const next = gridOf(answer((second - 1) * 1000, 1000, { a: [second - 1, second] }));
      expect(joins(grid, next)).toBe(true);
      grid = merge(grid, next, (second - 9) * 1000);
      expect(grid.length).toBeLessThanOrEqual(10);
    }
    expect(of(grid, "a")).toEqual([490, 491, 492, 493, 494, 495, 496, 497, 498, 499]);
  });

  it("is refused across a hole or another grid", () => {
    expect(joins(held, gridOf(answer(4000, 1000, { a: [4] })))).toBe(true);
    expect(joins(held, gridOf(answer(5000, 1000, { a: [5] })))).toBe(false);
    expect(joins(held, gridOf(answer(3000, 2000, { a: [5] })))).toBe(false);
    expect(joins(held, gridOf(answer(3500, 1000, { a: [5] })))).toBe(false);
  });
});

describe("stacks and sums", () => {
  it("add up from the bottom, with gaps only where nothing is known", () => {
    expect(stack([[1, null, null], [2, 3, null]], 3)).toEqual([[1, 0, null], [3, 3, null]]);
    expect(sum([[1, null, null], [2, 3, null]], 3)).toEqual([3, 3, null]);
  });

  it("combine only complete rows", () => {
    expect(zip([[10, null, 10], [1, 2, null]], (a, b) => a - b)).toEqual([9, null, null]);
  });

  it("show the newest value, but not an old one", () => {
    expect(latest([1, 2, null])).toBe(2);
    expect(latest([1, null, null, null])).toBeNull();
  });
});
