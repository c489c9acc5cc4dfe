/** What an expression gave, as lines of a chart and rows of a table. */

import type { Course, CourseAnswer } from "../../data/promql";
import type { Value } from "../../data/series";
import { colourAt, COLOURS, type Plot } from "../../parts/plot";
import { explore as words } from "../../text";
import { plain } from "../../text/units";

/** Lines of one chart: more can neither be told apart nor read in its legend. */
export const LINES = 24;

/** `name{a="b"}`; what carries neither is the value of the whole expression. */
export function nameOf(labels: Readonly<Record<string, string>>): string {
  const { __name__: name = "", ...rest } = labels;
  const parts = Object.entries(rest).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  if (parts.length === 0) return name || words.noName;
  return `${name}{${parts.join(", ")}}`;
}

export interface Row {
  name: string;
  last: Value;
  min: Value;
  mean: Value;
  max: Value;
}

export function rowOf({ labels, values }: Course): Row {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return { name: nameOf(labels), last: null, min: null, mean: null, max: null };
  let [min, max, sum] = [Infinity, -Infinity, 0];
  for (const value of known) {
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
  }
  return { name: nameOf(labels), last: known.at(-1) ?? null, min, mean: sum / known.length, max };
}

/** Labels that all courses share say nothing about which is which. */
export function shortNames(courses: readonly Course[]): string[] {
  const [first, ...others] = courses;
  if (!first || others.length === 0) return courses.map((one) => nameOf(one.labels));
  const shared = Object.entries(first.labels).filter(([label, value]) => others.every((one) => one.labels[label] === value));
  const drop = new Set(shared.map(([label]) => label));
  return courses.map(({ labels }) => nameOf(Object.fromEntries(Object.entries(labels).filter(([label]) => !drop.has(label)))));
}

export function plotOf(letter: string, expr: string, { courses }: CourseAnswer): Plot {
  const shown = courses.slice(0, LINES);
  const names = shortNames(courses);
  return {
    id: `explore-${letter}`,
    title: letter,
    format: plain,
    wide: true,
    note: courses.length > LINES ? words.chartNote(LINES, courses.length) : expr,
    // The last colour is for what stands in the background.
    lines: shown.map((one, i) => ({ label: names[i] ?? "", values: one.values, colour: colourAt(i % (COLOURS - 1)) })),
  };
}
