/**
 * Numbers for people: three significant digits, binary prefixes for bytes.
 *
 * `undefined` and `null` become a dash, never a zero: a missing value is not none.
 */

import { DAY, HOUR, MINUTE, SECOND } from "../time/range";

export type Format = (value: number | null | undefined) => string;

/** U+2013, what stands where there is no value. */
export const NOTHING = "\u2013";

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DECIMAL = ["", "k", "M", "G", "T"];

function known(value: number | null | undefined): value is number {
  return value !== null && value !== undefined && Number.isFinite(value);
}

/** Three significant digits, without an exponent and without trailing zeros after a point. */
export function significant(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 99.95) return value.toFixed(0);
  if (size >= 9.995) return trim(value.toFixed(1));
  if (size >= 0.0995) return trim(value.toFixed(2));
  if (size >= 0.00095) return trim(value.toFixed(3));
  return size < 0.0005 ? "0" : trim(value.toFixed(4));
}

function trim(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function scaled(value: number, base: number, names: readonly string[]): [number, string] {
  let size = value;
  let index = 0;
  // 0.9995 so that 1023.6 KiB becomes 1 MiB instead of "1024 KiB".
  while (Math.abs(size) >= base * 0.9995 && index < names.length - 1) {
    size /= base;
    index += 1;
  }
  return [size, names[index] ?? ""];
}

export const bytes: Format = (value) => {
  if (!known(value)) return NOTHING;
  const [size, unit] = scaled(value, 1024, BINARY);
  return `${unit === "B" ? Math.round(size) : significant(size)} ${unit}`;
};

export const bytesPerSecond: Format = (value) => (known(value) ? `${bytes(value)}/s` : NOTHING);

/** Of a share in 0..=100. */
export const percent: Format = (value) => {
  if (!known(value)) return NOTHING;
  if (value !== 0 && Math.abs(value) < 0.05) return `${value < 0 ? "-" : ""}<0.1 %`;
  return `${Math.abs(value) >= 99.95 ? value.toFixed(0) : trim(value.toFixed(1))} %`;
};

export const count: Format = (value) => {
  if (!known(value)) return NOTHING;
  const [size, unit] = scaled(value, 1000, DECIMAL);
  return unit === "" ? significant(size) : `${significant(size)} ${unit}`;
};

export const perSecond: Format = (value) => (known(value) ? `${count(value)}/s` : NOTHING);

export const celsius: Format = (value) => (known(value) ? `${significant(value)} \u00b0C` : NOTHING);

export const plain: Format = (value) => (known(value) ? significant(value) : NOTHING);

/** Of milliseconds: `0.4 ms`, `48 ms`, `1.2 s`. */
export const latency: Format = (value) => {
  if (!known(value)) return NOTHING;
  if (value < 999.5) return `${significant(value)} ms`;
  return `${significant(value / SECOND)} s`;
};

/** Of milliseconds, in one unit: `14 s`, `3 min`, `2 h`, `5 d`. */
export function age(milliseconds: number): string {
  const size = Math.max(0, milliseconds);
  if (size < MINUTE) return `${Math.floor(size / SECOND)} s`;
  if (size < HOUR) return `${Math.floor(size / MINUTE)} min`;
  if (size < 2 * DAY) return `${Math.floor(size / HOUR)} h`;
  return `${Math.floor(size / DAY)} d`;
}

/** Of milliseconds, in two units: `3 d 4 h`. */
export function duration(milliseconds: number): string {
  const steps: [number, string][] = [[DAY, "d"], [HOUR, "h"], [MINUTE, "min"], [SECOND, "s"]];
  const first = steps.findIndex(([size]) => milliseconds >= size);
  if (first < 0) return "0 s";
  let rest = milliseconds;
  const parts: string[] = [];
  for (const [size, unit] of steps.slice(first, first + 2)) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole > 0) parts.push(`${whole} ${unit}`);
  }
  return parts.join(" ");
}

/** A step of a chart: `1 s`, `5 min`, `1 h`. */
export function step(milliseconds: number): string {
  return duration(milliseconds);
}

const pad = (value: number) => String(value).padStart(2, "0");

/** Local time of day, with the date when it is not today. */
export function clock(at: number, now: number): string {
  const date = new Date(at);
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return new Date(now).toDateString() === date.toDateString() ? time : `${day(at)} ${time}`;
}

/** Local date, `2026-11-20`. */
export function day(at: number): string {
  const date = new Date(at);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

/** Reads a duration of the configuration (`1s`, `500ms`, `2m`), in milliseconds. */
export function parseSpan(text: string): number | undefined {
  const found = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text.trim());
  if (!found) return undefined;
  const sizes: Record<string, number> = { ms: 1, s: SECOND, m: MINUTE, h: HOUR, d: DAY };
  return Number(found[1]) * (sizes[found[2] ?? ""] ?? Number.NaN);
}
