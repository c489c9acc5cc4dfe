/**
 * Status as shape and word; the colour only repeats them.
 *
 * Disc: well. Triangle: look at it. Square: broken. Ring: not known.
 */

import type { ComponentChildren } from "preact";

import type { BreakerState, Health, OutcomeClass } from "../data/types";
import { breakers, outcomes } from "../text";

export type Tone = "ok" | "warn" | "bad" | "off";

export const TONE_OF_HEALTH: Record<Health, Tone> = {
  healthy: "ok",
  degraded: "warn",
  unhealthy: "bad",
  unknown: "off",
};

/** What an outcome class says about a target, in a word and a tone. */
export const OUTCOMES: Record<OutcomeClass, { tone: Tone; word: string; meaning: string }> = {
  ok: { tone: "ok", ...outcomes.ok },
  alive: { tone: "warn", ...outcomes.alive },
  recovering: { tone: "warn", ...outcomes.recovering },
  soft: { tone: "warn", ...outcomes.soft },
  hard: { tone: "bad", ...outcomes.hard },
};

/** What a breaker does that is not closed. */
export const BREAKERS: Record<Exclude<BreakerState, "closed">, { word: string; meaning: string }> = breakers;

const SHAPES: Record<Tone, string> = {
  ok: "M6 1.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6z",
  warn: "M6 .8 11.6 11H.4z",
  bad: "M1.2 1.2h9.6v9.6H1.2z",
  off: "M6 1.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6zm0 1.8a3 3 0 1 1 0 6 3 3 0 0 1 0-6z",
};

export function Shape({ tone, size = 10 }: { tone: Tone; size?: number }) {
  return (
    <svg class={`shape ${tone}`} width={size} height={size} viewBox="0 0 12 12" aria-hidden="true" focusable="false">
      <path d={SHAPES[tone]} />
    </svg>
  );
}

export function Pill({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`pill ${tone}`}>
      <Shape tone={tone} />
      {children}
    </span>
  );
}
