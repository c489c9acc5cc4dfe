/**
 * Series on a common grid: merging what is new into what is held, and the
 * arithmetic of charts (rates, sums, stacks).
 *
 * `null` is "no sample" and stays one through every function: a gap is never
 * bridged, and never becomes zero.
 */

import type { RangeAnswer, WireNumber } from "./types";

export type Value = number | null;

export interface Series {
  name: string;
  labels: Readonly<Record<string, string>>;
  values: Value[];
  /** Smallest and largest sample inside each step; only where steps are coarser than samples. */
  min?: Value[];
  max?: Value[];
}

/** Every series has `length` values; the i-th is at `start + i * step` (ms). */
export interface Grid {
  start: number;
  step: number;
  length: number;
  series: Map<string, Series>;
  resolutions: readonly string[];
}

/** One key per series, whatever the order of its labels. */
export function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  const parts = Object.keys(labels).sort().map((label) => `${label}=${JSON.stringify(labels[label])}`);
  return `${name}{${parts.join(",")}}`;
}

/** A chart cannot draw a NaN or an infinity: they are gaps. */
function finite(value: WireNumber): Value {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export function gridOf(answer: RangeAnswer): Grid {
  const series = new Map<string, Series>();
  let length = 0;
  for (const wire of answer.series) {
    const one: Series = { name: wire.name, labels: wire.labels, values: wire.values.map(finite) };
    if (wire.min && wire.max && wire.min.length > 0) {
      one.min = wire.min.map(finite);
      one.max = wire.max.map(finite);
    }
    length = Math.max(length, one.values.length);
    series.set(keyOf(wire.name, wire.labels), one);
  }
  const end = Date.parse(answer.end);
  if (length === 0) length = Math.max(0, Math.floor((end - answer.start_ms) / answer.step_ms) + 1);
  return { start: answer.start_ms, step: answer.step_ms, length, series, resolutions: answer.resolutions };
}

const lastAt = (grid: Grid) => grid.start + (grid.length - 1) * grid.step;

/** Whether `next` continues `held` without a hole between them and on the same grid. */
export function joins(held: Grid, next: Grid): boolean {
  const offset = next.start - held.start;
  return held.step === next.step && offset % held.step === 0 && offset >= 0 && next.start <= lastAt(held) + held.step;
}

/**
 * `held` continued by `next`, cut to begin at `from` (ms, on the grid). Where both
 * have a time, `next` counts. The caller has asked [`joins`].
 */
export function merge(held: Grid, next: Grid, from: number): Grid {
  const { step } = held;
  const start = Math.max(held.start, from);
  const end = Math.max(lastAt(held), lastAt(next));
  const length = Math.max(0, Math.round((end - start) / step) + 1);
  const skip = Math.round((start - held.start) / step);
  const seam = Math.max(0, Math.round((next.start - start) / step));
  const drop = Math.max(0, Math.round((start - next.start) / step));
  const join = (old: readonly Value[] | undefined, fresh: readonly Value[] | undefined): Value[] => {
    const values: Value[] = new Array<Value>(length).fill(null);
    for (let i = 0; i < length; i += 1) {
      const inNext = i - seam + drop;
      values[i] = (i >= seam && inNext < next.length ? fresh?.[inNext] : old?.[i + skip]) ?? null;
    }
    return values;
  };
  const series = new Map<string, Series>();
  for (const key of new Set([...held.series.keys(), ...next.series.keys()])) {
    const old = held.series.get(key);
    const fresh = next.series.get(key);
    const known = fresh ?? old;
    if (!known) continue;
    const values = join(old?.values, fresh?.values);
    // A series that left the window altogether (a device that was removed) is forgotten.
    if (!fresh && values.every((value) => value === null)) continue;
    const one: Series = { name: known.name, labels: known.labels, values };
    if (old?.min || fresh?.min) {
      one.min = join(old?.min ?? old?.values, fresh?.min ?? fresh?.values);
      one.max = join(old?.max ?? old?.values, fresh?.max ?? fresh?.values);
    }
    series.set(key, one);
  }
  return { start, step, length, series, resolutions: coarsest(held.resolutions, next.resolutions) };
}

function coarsest(a: readonly string[], b: readonly string[]): string[] {
  return ["raw", "1m", "1h"].filter((word) => a.includes(word) || b.includes(word));
}

/** Times of the grid from its second point on: the first only serves as the base of rates. */
export function times(grid: Grid): number[] {
  const at: number[] = [];
  for (let i = 1; i < grid.length; i += 1) at.push(grid.start + i * grid.step);
  return at;
}

/**
 * Increase per second of a counter, one value less than it has. A counter that fell
 * was reset: what it shows is what it grew since. Next to a gap there is no rate.
 */
export function rate(values: readonly Value[], step: number): Value[] {
  const seconds = step / 1000;
  const rates: Value[] = [];
  for (let i = 1; i < values.length; i += 1) {
    const before = values[i - 1] ?? null;
    const after = values[i] ?? null;
    if (before === null || after === null) rates.push(null);
    else rates.push((after >= before ? after - before : after) / seconds);
  }
  return rates;
}

/** The values that go with [`times`]. */
export function gauge(values: readonly Value[]): Value[] {
  return values.slice(1);
}

/** Sums what is there; a gap only where all are gaps. */
export function sum(columns: readonly (readonly Value[])[], length: number): Value[] {
  const total: Value[] = new Array<Value>(length).fill(null);
  for (const column of columns) {
    for (let i = 0; i < length; i += 1) {
      const value = column[i] ?? null;
      if (value !== null) total[i] = (total[i] ?? 0) + value;
    }
  }
  return total;
}

export function map(values: readonly Value[], change: (value: number) => number): Value[] {
  return values.map((value) => (value === null ? null : change(value)));
}

/** Combines columns point by point; a gap in any of them is a gap. */
export function zip(columns: readonly (readonly Value[])[], combine: (...values: number[]) => number): Value[] {
  const length = columns[0]?.length ?? 0;
  const combined: Value[] = [];
  for (let i = 0; i < length; i += 1) {
    const row: number[] = [];
    for (const column of columns) {
      const value = column[i] ?? null;
      if (value !== null) row.push(value);
    }
    combined.push(row.length === columns.length ? combine(...row) : null);
  }
  return combined;
}

/**
 * Upper edges of stacked areas, bottom first. A missing layer counts as nothing
 * where another layer has a value, and all edges are gaps where none has.
 */
export function stack(layers: readonly (readonly Value[])[], length: number): Value[][] {
  const known = sum(layers, length);
  let below: Value[] = known.map((value) => (value === null ? null : 0));
  return layers.map((layer) => {
    below = below.map((value, i) => (value === null ? null : value + (layer[i] ?? 0)));
    return below;
  });
}

/** The last value that is not a gap, if it is within `reach` points of the end. */
export function latest(values: readonly Value[], reach = 3): Value {
  for (let i = values.length - 1; i >= 0 && i >= values.length - reach; i -= 1) {
    const value = values[i] ?? null;
    if (value !== null) return value;
  }
  return null;
}

export function mean(values: readonly Value[]): number {
  let total = 0;
  let seen = 0;
  for (const value of values) {
    if (value === null) continue;
    total += Math.abs(value);
    seen += 1;
  }
  return seen === 0 ? 0 : total / seen;
}
