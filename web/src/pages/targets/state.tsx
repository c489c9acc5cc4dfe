/** How a target and its breaker are, as pills. */

import { agentNow, second } from "../../data/live";
import type { BreakerState, TargetStatus } from "../../data/types";
import { OUTCOMES, Pill, type Tone } from "../../parts/status";
import { breaker as breakerWords, targets as words } from "../../text";
import { age } from "../../text/units";

const BREAKER_TONES: Record<BreakerState, Tone> = {
  closed: "ok",
  open: "bad",
  half_open: "warn",
  forced_open: "bad",
  disabled: "off",
  metrics_only: "off",
};

export function BreakerPill({ state }: { state: BreakerState }) {
  return (
    <Pill tone={BREAKER_TONES[state]}>
      <span title={breakerWords.meanings[state]}>{breakerWords.states[state]}</span>
    </Pill>
  );
}

export function wordOf(target: TargetStatus): string {
  if (!target.enabled) return words.off;
  return target.class ? OUTCOMES[target.class].word : words.first;
}

export function inTrouble(target: TargetStatus): boolean {
  return target.enabled && ((target.class !== "ok" && Boolean(target.class)) || !["closed", "metrics_only"].includes(target.breaker));
}

export function StatePill({ target, since = false }: { target: TargetStatus; since?: boolean }) {
  void second.value;
  const outcome = target.enabled && target.class ? OUTCOMES[target.class] : undefined;
  const word = wordOf(target);
  return (
    <Pill tone={outcome?.tone ?? "off"}>
      <span title={outcome?.meaning ?? ""}>
        {since && outcome && target.since ? words.since(word, age(agentNow() - Date.parse(target.since))) : word}
      </span>
    </Pill>
  );
}

/** What went wrong in the last probe, in its own words. */
export function troubleOf(target: TargetStatus): string {
  const bad = (target.last?.operations ?? []).find((one) => one.class === target.class && one.class !== "ok");
  return bad ? [bad.operation, bad.detail || bad.code].filter((part) => part).join(": ") : "";
}
