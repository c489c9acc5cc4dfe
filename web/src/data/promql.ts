/** PromQL over the stored history, in the columns that charts draw. */

import { call } from "./api";
import type { Value } from "./series";

export interface Course {
  labels: Record<string, string>;
  values: Value[];
}

export interface CourseAnswer {
  /** Times of the values, ms. */
  times: number[];
  courses: Course[];
  warnings: string[];
}

export interface Sample {
  labels: Record<string, string>;
  value: number;
}

/** As the protocol of Prometheus writes them; its document leaves the result open. */
type Pair = [time: number, value: string];
interface Wire {
  metric?: Record<string, string>;
  value?: Pair;
  values?: Pair[];
}

const numberOf = (text: string): number => (text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text));

/** Puts pairs on the grid; what is missing or no number is a gap. */
export function onGrid(pairs: readonly Pair[], start: number, step: number, length: number): Value[] {
  const values = new Array<Value>(length).fill(null);
  for (const [seconds, text] of pairs) {
    const at = Math.round((seconds * 1000 - start) / step);
    const value = numberOf(text);
    if (at >= 0 && at < length && Number.isFinite(value)) values[at] = value;
  }
  return values;
}

/** `from`, `to` and `step` in ms. */
export async function courseOf(expr: string, from: number, to: number, step: number, signal?: AbortSignal): Promise<CourseAnswer> {
  const seconds = (milliseconds: number) => String(milliseconds / 1000);
  const query = { query: expr, start: seconds(from), end: seconds(to), step: seconds(step) };
  const { data, warnings = [] } = await call("GET /prometheus/api/v1/query_range", { query, signal });
  const length = Math.max(0, Math.floor((to - from) / step) + 1);
  const courses = (data.result as Wire[]).map((one) => ({
    labels: one.metric ?? {},
    values: onGrid(one.values ?? [], from, step, length),
  }));
  return { times: Array.from({ length }, (_, i) => from + i * step), courses, warnings };
}

export async function samplesOf(expr: string, signal?: AbortSignal): Promise<{ samples: Sample[]; warnings: string[] }> {
  const { data, warnings = [] } = await call("GET /prometheus/api/v1/query", { query: { query: expr }, signal });
  if (data.resultType === "scalar") {
    const [, text] = data.result as unknown as Pair;
    return { samples: [{ labels: {}, value: numberOf(text) }], warnings };
  }
  const samples = (data.result as Wire[]).map((one) => ({
    labels: one.metric ?? {},
    value: numberOf((one.value ?? one.values?.at(-1) ?? [0, "NaN"])[1]),
  }));
  return { samples, warnings };
}

/** The one that belongs to `labels`: all that it says must be said there, too; the closest counts. */
export function belonging<T extends { labels: Record<string, string> }>(all: readonly T[], labels: Record<string, string>): T | undefined {
  const said = (one: T) => Object.entries(one.labels).filter(([name]) => name !== "__name__");
  const fits = all.filter((one) => said(one).every(([name, value]) => labels[name] === value));
  return fits.sort((a, b) => said(b).length - said(a).length)[0];
}
