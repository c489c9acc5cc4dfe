/** The limits of a rule as level lines of a chart: the worse, the redder. */

import type { Rule, Severity } from "../../data/types";
import type { Colour, Line } from "../../parts/plot";
import { alert as words, parts } from "../../text";

const COLOURS: Record<Severity, Colour> = { info: 7, low: 7, medium: 3, high: 3, critical: 4, emergency: 4 };

export function limitLines(levels: Rule["levels"], length: number): Line[] {
  return levels.map((level) => ({
    label: words.limit(parts.severities[level.severity]),
    values: new Array<number>(length).fill(level.value),
    colour: COLOURS[level.severity],
    dashed: true,
    level: true,
  }));
}
