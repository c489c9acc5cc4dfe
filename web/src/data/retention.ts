/**
 * How much room the tiers of the ring will take, before it is saved.
 *
 * An estimate: samples arrive as fast as so far, and take what they took in a replayed day
 * of a real host. What the agent really keeps is bounded by the cap, the oldest raw samples
 * giving way first.
 */

import { DAY } from "../time/range";

/** On disk, pages and index included; measured (see the README). */
const BYTES_PER_SAMPLE = 0.55;
/** Of one row of a coarse tier: smallest, largest, sum, count and last value of one series. */
const BYTES_PER_ROW = 4;
const MINUTES = 1440;
const HOURS = 24;

export interface Measured {
  /** Samples per second. */
  pace: number;
  series: number;
}

/** Each in ms. */
export interface Retention {
  raw: number;
  minute: number;
  hour: number;
}

/** Each in bytes. */
export interface Room {
  raw: number;
  minute: number;
  hour: number;
  total: number;
}

export function roomOf({ pace, series }: Measured, kept: Retention): Room {
  const raw = pace * 86_400 * BYTES_PER_SAMPLE * (kept.raw / DAY);
  const minute = series * MINUTES * BYTES_PER_ROW * (kept.minute / DAY);
  const hour = series * HOURS * BYTES_PER_ROW * (kept.hour / DAY);
  return { raw, minute, hour, total: raw + minute + hour };
}

/** How long raw samples last inside the cap (bytes), ms: they give way first. */
export function rawInside(measured: Measured, kept: Retention, cap: number): number {
  const room = roomOf(measured, kept);
  if (room.total <= cap || room.raw === 0) return kept.raw;
  return Math.max(0, (kept.raw * (cap - room.minute - room.hour)) / room.raw);
}

const UNITS: Record<string, number> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30, TIB: 2 ** 40 };

/** Reads a size of the configuration (`64MiB`), in bytes. */
export function parseSize(text: string): number | undefined {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kKmMgGtT]?i?[bB])$/.exec(text.trim()) ?? [];
  const size = UNITS[(unit ?? "").toUpperCase()];
  return number === undefined || size === undefined ? undefined : Number(number) * size;
}
