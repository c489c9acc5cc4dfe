/** The alerts that are active now: what the navigation counts and the overview lists. */

import { effect, signal } from "@preact/signals";

import { call, type Problem, asProblem } from "./api";
import { alertChanges, reloads, shown } from "./live";
import type { Alert } from "./types";

/** Asked again this often even when no event came, ms. */
const PERIOD = 30_000;
/** Events of one moment are one question, ms. */
const SETTLE = 250;
const MOST = 200;

export const active = signal<readonly Alert[] | undefined>(undefined);
export const activeProblem = signal<Problem | undefined>(undefined);
/** Those of them that somebody should look at: firing, and not muted on purpose. */
export const firing = signal<readonly Alert[]>([]);

/** Whether nobody is told of it: silenced, planned, or explained by another alert. */
export function isMuted(alert: Alert): boolean {
  return alert.silenced_by.length > 0 || alert.inhibited_by.length > 0 || alert.maintenance;
}

export function isFiring(alert: Alert): boolean {
  return alert.state === "firing" || alert.state === "nodata" || alert.state === "error";
}

export async function loadActive(): Promise<void> {
  try {
    const answer = await call("GET /api/v1/monitoring/alerts", { query: { limit: MOST } });
    active.value = answer.alerts;
    firing.value = answer.alerts.filter((alert) => isFiring(alert) && !alert.acknowledged && !isMuted(alert));
    activeProblem.value = undefined;
  } catch (error) {
    activeProblem.value = asProblem(error);
  }
}

export function startAlerts(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const plan = (wait: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (shown.peek()) void loadActive();
      plan(PERIOD);
    }, wait);
  };
  effect(() => {
    void alertChanges.value;
    void reloads.value;
    void shown.value;
    plan(SETTLE);
  });
}
