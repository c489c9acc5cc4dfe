/**
 * A plot as what is drawn: its lines with their final values, and the scale of its values.
 *
 * Stacked lines become the upper edges of their layers, mirrored ones stand below zero.
 * Pure, so that it can be tested without a canvas.
 */

import { stack, type Value } from "../data/series";
import type { Window } from "../time/range";
import type { Colour, Line, Plot } from "./plot";

export interface Layer {
  line: Line;
  colour: Colour;
  values: readonly Value[];
  /** Lower edge of an area; without it, areas reach down to zero. */
  base?: readonly Value[] | undefined;
  /** How its area is filled: not at all, faintly, or as a layer of a stack. */
  fill: "none" | "faint" | "layer";
  band?: { min: readonly Value[]; max: readonly Value[] } | undefined;
}

export interface Scene {
  layers: Layer[];
  /** Ends of the scale. */
  low: number;
  high: number;
}

export function sceneOf(plot: Plot, times: readonly number[], window: Window): Scene {
  const stacked = plot.stacked ? plot.lines.filter((line) => !line.overlay) : [];
  const edges = stack(stacked.map((line) => line.values), times.length);
  const few = plot.lines.filter((line) => !line.level).length <= 2;
  const layers = plot.lines.map((line): Layer => {
    const place = stacked.indexOf(line);
    const values = line.mirrored ? line.values.map((value) => (value === null ? null : -value)) : line.values;
    if (place >= 0) return { line, colour: line.colour, values: edges[place] ?? [], base: edges[place - 1], fill: "layer" };
    const band = line.min && line.max && !line.mirrored ? { min: line.min, max: line.max } : undefined;
    const fill = !line.level && (line.mirrored || few) ? "faint" : "none";
    return { line, colour: line.colour, values, fill, band };
  });
  const [low, high] = extent(layers, times, window);
  return { layers, ...scale(plot, low, high) };
}

/** Smallest and largest value within the window; 0 and 0 where there is none. */
function extent(layers: readonly Layer[], times: readonly number[], window: Window): [number, number] {
  let low = 0;
  let high = 0;
  for (const { values, band } of layers) {
    for (const column of band ? [values, band.min, band.max] : [values]) {
      for (const [i, at] of times.entries()) {
        const value = column[i] ?? null;
        if (value === null || at < window.from || at > window.to) continue;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
  }
  return [low, high];
}

/** Zero is always in sight; a known ceiling, or a reach, keeps noise from looking like a mountain. */
function scale(plot: Plot, least: number, most: number): { low: number; high: number } {
  const low = least < 0 ? least * 1.1 : 0;
  if (plot.ceiling !== undefined) return { low, high: Math.max(plot.ceiling, most) };
  const high = Math.max(most * 1.1, plot.reach ?? 0);
  return { low, high: high > low ? high : low + 1 };
}

/** Runs of places that have a value, as pairs of first and last: a gap ends one. */
export function runs(values: readonly Value[]): [number, number][] {
  const found: [number, number][] = [];
  let first = -1;
  for (let i = 0; i <= values.length; i += 1) {
    const there = (values[i] ?? null) !== null;
    if (there && first < 0) first = i;
    if (!there && first >= 0) {
      found.push([first, i - 1]);
      first = -1;
    }
  }
  return found;
}

/** The place of the time that is nearest to `at`; undefined where there is none. */
export function closest(times: readonly number[], at: number): number | undefined {
  let [low, high] = [0, times.length - 1];
  if (high < 0) return undefined;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) <= at) low = middle;
    else high = middle;
  }
  return at - (times[low] ?? 0) <= (times[high] ?? 0) - at ? low : high;
}
