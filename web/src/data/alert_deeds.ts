/** What can be done with alerts, several at once. The agent takes one at a time, so one that is refused leaves the rest done. */

import { asProblem, call, type Problem } from "./api";
import { loadActive } from "./alerts";
import type { Alert } from "./types";

export interface Outcome {
  done: number;
  refused: Problem[];
}

/** Requests under way at once. */
const ABREAST = 6;

async function each(alerts: readonly Alert[], deed: (alert: Alert) => Promise<unknown>): Promise<Outcome> {
  const outcome: Outcome = { done: 0, refused: [] };
  const left = [...alerts];
  const work = async () => {
    for (let alert = left.shift(); alert; alert = left.shift()) {
      try {
        await deed(alert);
        outcome.done += 1;
      } catch (error) {
        outcome.refused.push(asProblem(error));
      }
    }
  };
  // The first goes alone: it may have to ask who is there.
  const first = left.shift();
  if (first) await deed(first).then(() => (outcome.done += 1));
  await Promise.all(Array.from({ length: ABREAST }, work));
  void loadActive();
  return outcome;
}

export function acknowledge(alerts: readonly Alert[], comment: string, until: string): Promise<Outcome> {
  const body = { ...(comment && { comment }), ...(until && { until }) };
  return each(alerts, ({ id }) => call("POST /api/v1/monitoring/alerts/{id}/acknowledge", { path: { id }, body }));
}

export async function takeBack(alert: Alert): Promise<void> {
  await call("DELETE /api/v1/monitoring/alerts/{id}/acknowledge", { path: { id: alert.id } });
  void loadActive();
}

export function resolve(alerts: readonly Alert[], comment: string): Promise<Outcome> {
  const body = comment ? { comment } : {};
  return each(alerts, ({ id }) => call("POST /api/v1/monitoring/alerts/{id}/resolve", { path: { id }, body }));
}

/** Matchers that mean this alert and no other; its severity may change meanwhile. */
export function matchersOf(alert: Pick<Alert, "labels">): string[] {
  return Object.entries(alert.labels)
    .filter(([name]) => name !== "severity")
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`);
}

export function silence(alerts: readonly Alert[], comment: string, duration: string, maintenance: boolean): Promise<Outcome> {
  return each(alerts, (alert) =>
    call("POST /api/v1/monitoring/silences", {
      body: { matchers: matchersOf(alert), comment, duration, maintenance },
    }),
  );
}
