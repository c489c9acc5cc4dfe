/**
 * The time range of the page, as the URL carries it (`?from=now-15m&to=now`).
 *
 * A bound is relative to now or fixed. A range whose end is `now` is live: it
 * moves. Pure: the present is always passed in, so nothing here goes stale.
 */

import { presets } from "../text";

export type Bound = { kind: "relative"; back: number } | { kind: "fixed"; at: number };

export interface TimeRange {
  from: Bound;
  to: Bound;
}

/** Milliseconds since the epoch. */
export interface Window {
  from: number;
  to: number;
}

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Nothing narrower can be chosen: fewer than ten samples are not a chart. */
export const NARROWEST = 10 * SECOND;
export const WIDEST = 400 * DAY;

const UNITS: Record<string, number> = { s: SECOND, m: MINUTE, h: HOUR, d: DAY, w: 7 * DAY };

export const PRESETS: readonly { label: string; words: string; back: number }[] = [
  { label: "5m", words: presets.m5, back: 5 * MINUTE },
  { label: "15m", words: presets.m15, back: 15 * MINUTE },
  { label: "1h", words: presets.h1, back: HOUR },
  { label: "6h", words: presets.h6, back: 6 * HOUR },
  { label: "24h", words: presets.h24, back: DAY },
  { label: "7d", words: presets.d7, back: 7 * DAY },
];

export function lastRange(back: number): TimeRange {
  return { from: { kind: "relative", back }, to: { kind: "relative", back: 0 } };
}

export function fixedRange(from: number, to: number): TimeRange {
  return { from: { kind: "fixed", at: Math.round(from) }, to: { kind: "fixed", at: Math.round(to) } };
}

export const DEFAULT_RANGE = lastRange(15 * MINUTE);

/** Reads `now`, `now-90s`, epoch seconds, epoch milliseconds or an RFC 3339 time. */
export function parseBound(text: string): Bound | undefined {
  const trimmed = text.trim();
  if (trimmed === "now") return { kind: "relative", back: 0 };
  const relative = /^now-(\d{1,9})([smhdw])$/.exec(trimmed);
  if (relative) {
    const back = Number(relative[1]) * (UNITS[relative[2] ?? ""] ?? Number.NaN);
    return back <= WIDEST ? { kind: "relative", back } : undefined;
  }
  if (/^\d{9,10}$/.test(trimmed)) return { kind: "fixed", at: Number(trimmed) * SECOND };
  if (/^\d{12,13}$/.test(trimmed)) return { kind: "fixed", at: Number(trimmed) };
  if (!/^\d{4}-\d\d-\d\d/.test(trimmed)) return undefined;
  const at = Date.parse(trimmed);
  return Number.isNaN(at) ? undefined : { kind: "fixed", at };
}

/** The shortest text that reads back as the same bound. */
export function formatBound(bound: Bound): string {
  if (bound.kind === "fixed") return new Date(bound.at).toISOString();
  if (bound.back === 0) return "now";
  for (const unit of ["w", "d", "h", "m"]) {
    const size = UNITS[unit] ?? 1;
    if (bound.back % size === 0) return `now-${bound.back / size}${unit}`;
  }
  return `now-${Math.round(bound.back / SECOND)}s`;
}

/** The range two URL values mean; `undefined` when they make none. */
export function parseRange(from: string | null, to: string | null, now: number): TimeRange | undefined {
  const start = parseBound(from ?? "now-15m");
  const end = parseBound(to ?? "now");
  if (!start || !end) return undefined;
  const range = { from: start, to: end };
  const window = resolve(range, now);
  return window.to - window.from >= NARROWEST && window.to - window.from <= WIDEST ? range : undefined;
}

export function resolve(range: TimeRange, now: number): Window {
  const at = (bound: Bound) => (bound.kind === "fixed" ? bound.at : now - bound.back);
  return { from: at(range.from), to: at(range.to) };
}

export function isLive(range: TimeRange): boolean {
  return range.to.kind === "relative" && range.to.back === 0 && range.from.kind === "relative";
}

export function sameRange(a: TimeRange, b: TimeRange): boolean {
  return formatBound(a.from) === formatBound(b.from) && formatBound(a.to) === formatBound(b.to);
}

/** The preset a range is, if it is one. */
export function presetOf(range: TimeRange): string | undefined {
  return PRESETS.find((preset) => sameRange(lastRange(preset.back), range))?.label;
}

/** The part of `window` between two points, never narrower than allowed. */
export function zoomTo(a: number, b: number): TimeRange {
  const from = Math.min(a, b);
  const to = Math.max(a, b);
  const missing = Math.max(0, NARROWEST - (to - from)) / 2;
  return fixedRange(from - missing, to + missing);
}

/** Zooms about the middle (a live range keeps its end), or moves by a share of the width. */
export function zoomBy(range: TimeRange, factor: number, now: number): TimeRange {
  const window = resolve(range, now);
  const width = Math.min(Math.max((window.to - window.from) * factor, NARROWEST), WIDEST);
  if (isLive(range)) return lastRange(Math.round(width / SECOND) * SECOND);
  const middle = (window.from + window.to) / 2;
  return fixedRange(middle - width / 2, Math.min(middle + width / 2, Math.max(now, window.to)));
}

export function shiftBy(range: TimeRange, share: number, now: number): TimeRange {
  const window = resolve(range, now);
  const width = window.to - window.from;
  const to = Math.min(window.to + width * share, now);
  return fixedRange(to - width, to);
}

const STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
].map((seconds) => seconds * SECOND);

/**
 * The finest round step that draws `width` in at most `points` values and is not
 * finer than the samples are.
 */
export function chooseStep(width: number, points: number, finest: number): number {
  const wanted = Math.max(width / points, finest);
  return STEPS.find((step) => step >= wanted) ?? DAY;
}

/** The window on the grid of whole steps, which is where samples are asked for. */
export function align(window: Window, step: number): Window {
  return { from: Math.floor(window.from / step) * step, to: Math.floor(window.to / step) * step };
}
