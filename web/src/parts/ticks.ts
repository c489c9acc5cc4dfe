/** Where the lines behind a chart stand: round values, round local times. */

import { DAY, HOUR, MINUTE, SECOND, type Window } from "../time/range";

const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 7, 14, 28, 91].map((days) => days * DAY),
];

export interface Tick {
  at: number;
  label: string;
}

/** Times between the ends of the window, at most `most` (3 and up), at round times of the clock on the wall. */
export function timeTicks(window: Window, most: number): Tick[] {
  const step = TIME_STEPS.find((one) => (window.to - window.from) / one <= most) ?? (window.to - window.from) / most;
  const ticks: Tick[] = [];
  // From the midnight before, so that hours are round there where the zone is not whole hours off.
  const day = new Date(window.from);
  day.setHours(0, 0, 0, 0);
  while (day.getTime() <= window.to && ticks.length <= most) {
    const next = new Date(day);
    next.setDate(next.getDate() + Math.max(1, Math.round(step / DAY)));
    const start = day.getTime();
    // A day that the clock is set in is longer or shorter; the next begins anew.
    for (let at = start; at < next.getTime() && at <= window.to; at += Math.min(step, DAY * 400)) {
      if (at >= window.from) ticks.push({ at, label: timeLabel(at, step) });
      if (step >= DAY) break;
    }
    day.setTime(next.getTime());
  }
  return ticks;
}

const two = (value: number) => String(value).padStart(2, "0");

/** Seconds only where the ticks need them, the date where a day begins. */
function timeLabel(at: number, step: number): string {
  const date = new Date(at);
  const [hour, minute, second] = [date.getHours(), date.getMinutes(), date.getSeconds()];
  if (hour === 0 && minute === 0 && second === 0) return `${date.getDate()}.${date.getMonth() + 1}.`;
  return step < MINUTE ? `${two(hour)}:${two(minute)}:${two(second)}` : `${two(hour)}:${two(minute)}`;
}

/** Round values between `low` and `high`, about `most` of them. `binary`: at powers of two. */
export function valueTicks(low: number, high: number, most: number, binary = false): number[] {
  const rough = (high - low) / Math.max(1, most);
  if (!(rough > 0) || !Number.isFinite(rough)) return [];
  const step = binary ? 2 ** Math.ceil(Math.log2(rough)) : roundUp(rough);
  const ticks: number[] = [];
  // Adding nothing makes of the zero below zero, which such a count begins with, a plain one.
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) ticks.push(i * step + 0);
  return ticks;
}

/** The next of 1, 2, 2.5, 5, 10 times a power of ten. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const share = value / power;
  return ([1, 2, 2.5, 5].find((one) => share <= one * (1 + 1e-9)) ?? 10) * power;
}
