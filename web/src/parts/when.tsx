/** A time as its distance from now; the exact one in its title. */

import { agentNow, second } from "../data/live";
import { parts } from "../text";
import { age, clock, NOTHING } from "../text/units";

/** `3 min ago`, `in 2 h`. */
export function distance(at: number, now: number): string {
  const away = now - at;
  if (Math.abs(away) < 1000) return parts.now;
  return away > 0 ? parts.ago(age(away)) : parts.ahead(age(-away));
}

export function When({ at }: { at: string | null | undefined }) {
  void second.value;
  if (!at) return <>{NOTHING}</>;
  const time = Date.parse(at);
  return (
    <time dateTime={at} title={new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" })}>
      {distance(time, agentNow())}
    </time>
  );
}

/** A time as the clock showed it, for lists in which the order is what matters. */
export function Clock({ at }: { at: string | null | undefined }) {
  if (!at) return <>{NOTHING}</>;
  return (
    <time dateTime={at} title={at}>
      {clock(Date.parse(at), agentNow())}
    </time>
  );
}
