import { describe, expect, test } from "vitest";

import type { Line, Plot } from "../src/parts/plot";
import { closest, runs, sceneOf } from "../src/parts/scene";
import { timeTicks, valueTicks } from "../src/parts/ticks";
import { plain } from "../src/text/units";
import { DAY, HOUR, MINUTE, SECOND } from "../src/time/range";

const at = (text: string) => new Date(text).getTime();

describe("times behind a chart", () => {
  test.each([
    [20 * SECOND, 5],
    [15 * MINUTE, 12],
    [HOUR, 8],
    [6 * HOUR, 10],
    [7 * DAY, 9],
    [90 * DAY, 4],
    [400 * DAY, 6],
  ])("of a window of %d ms: no more than %d, in order, inside, at equal distances", (width, most) => {
    const from = at("2026-03-04T09:17:23");
    const ticks = timeTicks({ from, to: from + width }, most).map((tick) => tick.at);
    expect(ticks.length).toBeGreaterThan(0);
    expect(ticks.length).toBeLessThanOrEqual(most + 1);
    expect(ticks.every((time) => time >= from && time <= from + width)).toBe(true);
    expect([...ticks].sort((a, b) => a - b)).toEqual(ticks);
  });

  test("hours are round on the wall, days carry their date, seconds only where needed", () => {
    const day = timeTicks({ from: at("2026-03-04T20:30:00"), to: at("2026-03-05T04:30:00") }, 8);
    expect(day.map((tick) => tick.label)).toEqual(["21:00", "22:00", "23:00", "5.3.", "01:00", "02:00", "03:00", "04:00"]);
    const short = timeTicks({ from: at("2026-03-04T20:30:00"), to: at("2026-03-04T20:30:20") }, 4);
    expect(short[0]?.label).toBe("20:30:00");
  });
});

describe("values behind a chart", () => {
  test("are round and reach over the whole scale", () => {
    expect(valueTicks(0, 100, 4)).toEqual([0, 25, 50, 75, 100]);
    expect(valueTicks(-3, 7, 5)).toEqual([-2, 0, 2, 4, 6]);
    expect(valueTicks(0, 0.3, 3).map((value) => value.toFixed(1))).toEqual(["0.0", "0.1", "0.2", "0.3"]);
    expect(valueTicks(0, 3 * 2 ** 30, 4, true)).toEqual([0, 2 ** 30, 2 * 2 ** 30, 3 * 2 ** 30]);
  });

  test("a scale without extent has none", () => {
    expect(valueTicks(1, 1, 4)).toEqual([]);
    expect(valueTicks(0, Number.POSITIVE_INFINITY, 4)).toEqual([]);
  });
});

describe("what is drawn", () => {
  const times = [0, 10, 20];
  const window = { from: 0, to: 20 };
  const plot = (lines: Partial<Line>[], more: Partial<Plot> = {}): Plot => ({
    id: "x",
    title: "x",
    format: plain,
    lines: lines.map((line, i) => ({ label: String(i), values: [1, 2, 3], colour: 1, ...line })),
    ...more,
  });

  test("a gap ends a run", () => {
    expect(runs([null, 1, 2, null, 3])).toEqual([[1, 2], [4, 4]]);
    expect(runs([])).toEqual([]);
  });

  test("layers of a stack stand on each other, an overlay does not", () => {
    const scene = sceneOf(plot([{}, { values: [1, null, 1] }, { overlay: true, values: [9, 9, 9] }], { stacked: true }), times, window);
    expect(scene.layers.map((layer) => layer.values)).toEqual([[1, 2, 3], [2, 2, 4], [9, 9, 9]]);
    expect(scene.layers[1]?.base).toEqual([1, 2, 3]);
    expect(scene.high).toBeCloseTo(9.9);
  });

  test("a mirrored line stands below zero, and the scale reaches there", () => {
    const scene = sceneOf(plot([{}, { mirrored: true, values: [10, null, 5] }]), times, window);
    expect(scene.layers[1]?.values).toEqual([-10, null, -5]);
    expect(scene.low).toBeCloseTo(-11);
  });

  test("the scale knows ceilings, reaches, bands and the window", () => {
    expect(sceneOf(plot([{}], { ceiling: 100 }), times, window)).toMatchObject({ low: 0, high: 100 });
    expect(sceneOf(plot([{ values: [0, 0, 0] }]), times, window)).toMatchObject({ low: 0, high: 1 });
    expect(sceneOf(plot([{}], { reach: 50 }), times, window).high).toBe(50);
    expect(sceneOf(plot([{ min: [0, 0, 0], max: [10, 10, 10] }]), times, window).high).toBeCloseTo(11);
    expect(sceneOf(plot([{ values: [900, 2, 3] }]), times, { from: 5, to: 20 }).high).toBeCloseTo(3.3);
  });

  test("the cursor finds the nearest time", () => {
    expect([-5, 4, 6, 99].map((time) => closest(times, time))).toEqual([0, 0, 1, 2]);
    expect(closest([], 1)).toBeUndefined();
  });
});
