/** A severity as shape, word and colour together; six levels, three shapes, the word decides. */

import type { Severity } from "../data/types";
import { parts } from "../text";
import { Pill, type Tone } from "./status";

/** Mildest first. */
export const SEVERITIES: readonly Severity[] = ["info", "low", "medium", "high", "critical", "emergency"];

const TONES: Record<Severity, Tone> = { info: "off", low: "off", medium: "warn", high: "warn", critical: "bad", emergency: "bad" };

export function rankOf(severity: Severity): number {
  return SEVERITIES.indexOf(severity);
}

export function toneOfSeverity(severity: Severity): Tone {
  return TONES[severity];
}

export function SeverityPill({ severity }: { severity: Severity }) {
  return <Pill tone={TONES[severity]}>{parts.severities[severity]}</Pill>;
}
