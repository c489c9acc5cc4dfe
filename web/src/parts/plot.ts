/**
 * What a chart shows, apart from how it is drawn. Pages make plots from series;
 * the chart component turns them into pixels.
 */

import type { Value } from "../data/series";
import type { Tone } from "./status";
import type { Format } from "../text/units";

/** Places in the palette of the style sheet (`--chart-1` and on). */
export type Colour = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

export interface Line {
  label: string;
  values: Value[];
  colour: Colour;
  /** Band between smallest and largest sample of each step. */
  min?: Value[];
  max?: Value[];
  /** Drawn below the zero line, shown as a positive number. */
  mirrored?: boolean;
  dashed?: boolean;
  /** In a stacked plot: a plain line above the stack. */
  overlay?: boolean;
  /** A constant level rather than a course: it has no points and no filling. */
  level?: boolean;
}

export interface Plot {
  id: string;
  title: string;
  format: Format;
  /** Ticks at powers of two. */
  binary?: boolean;
  stacked?: boolean;
  /** Upper end of the scale, when it is known. */
  ceiling?: number;
  /** The scale reaches at least so far, so that noise does not look like a mountain. */
  reach?: number;
  lines: Line[];
  /** Said beside the title, e.g. that idle devices are left out. */
  note?: string;
  wide?: boolean;
}

/** Something that happened at one time, drawn as a line across. */
export interface Mark {
  /** ms */
  at: number;
  kind: "alert" | "breaker" | "failover" | "config";
  tone: Tone;
  text: string;
  /** The page that says more. */
  href?: string;
}

export const COLOURS = 8;

export function colourAt(index: number): Colour {
  return ((index % COLOURS) + 1) as Colour;
}
