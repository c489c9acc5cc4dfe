/** What an operator can do with a breaker. */

import type { BreakerState } from "../../data/types";
import type { breaker as words } from "../../text";

export type Deed = keyof typeof words.asks;

/** The deed that leads into a state; such a state ends only by hand. */
const INTO: Partial<Record<BreakerState, Deed>> = { forced_open: "force-open", disabled: "disable", metrics_only: "metrics-only" };

/** What can be done in a state; what would change nothing is left out. */
export function deedsIn(state: BreakerState): Deed[] {
  const all: readonly Deed[] = ["force-open", "disable", "metrics-only"];
  return [INTO[state] ? "release" : "reset", ...all.filter((deed) => deed !== INTO[state])];
}
