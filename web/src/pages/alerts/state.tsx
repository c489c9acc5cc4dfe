/** How an alert is, as pill and tags: its state, and why nobody may be told of it. */

import type { Alert } from "../../data/types";
import { Pill } from "../../parts/status";
import { alerts } from "../../text";

/** In words, as the severity beside it has shape and colour already; only an end is marked. */
export function StateWord({ alert }: { alert: Alert }) {
  const word = alerts.stateWords[alert.state];
  return alert.state === "resolved" ? <Pill tone="ok">{word}</Pill> : <span class="state">{word}</span>;
}

export function flagsOf(alert: Alert): string[] {
  const words = alerts.flags;
  const flags: string[] = [];
  if (alert.acknowledged) flags.push(words.acknowledged(alert.acknowledged_by ?? ""));
  if (alert.silenced_by.length > 0) flags.push(words.silenced);
  if (alert.inhibited_by.length > 0) flags.push(words.muted);
  if (alert.maintenance) flags.push(words.maintenance);
  if (alert.flapping) flags.push(words.flapping);
  if (alert.waits_until) flags.push(words.waits);
  return flags;
}

export function Flags({ alert }: { alert: Alert }) {
  const flags = flagsOf(alert);
  if (flags.length === 0) return null;
  return (
    <span class="tags">
      {flags.map((flag) => (
        <span key={flag} class="tag">
          {flag}
        </span>
      ))}
    </span>
  );
}

/** Labels that say which instance it is; the name and the severity stand elsewhere. */
export function instanceOf(alert: Pick<Alert, "labels">): [string, string][] {
  return Object.entries(alert.labels).filter(([name]) => name !== "alertname" && name !== "severity");
}
