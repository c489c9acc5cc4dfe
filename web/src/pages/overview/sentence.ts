/** The state of everything in one sentence. */

import { overview as words } from "../../text";
import type { Component, Health, HealthAnswer } from "../../data/types";

const RANK: Record<Health, number> = { unhealthy: 0, degraded: 1, unknown: 2, healthy: 3 };

/** Parts that are no single target. */
const WHOLES = ["store", "storage", "database", "scst"];

/**
 * The parts that are not well, worst first. `database` sums up the Postgres targets:
 * where one of them is named, it says nothing new.
 */
export function troubled(components: readonly Component[]): Component[] {
  const bad = components.filter((one) => one.status !== "healthy");
  const named = bad.some((one) => !WHOLES.includes(one.name));
  return bad
    .filter((one) => one.name !== "database" || !named)
    .sort((a, b) => RANK[a.status] - RANK[b.status]);
}

/** What is wrong with one part. */
export function named(one: Component): string {
  return one.message === "" ? words.isHealth(one.name, one.status) : `${one.name}: ${one.message}`;
}

/** The sentence. `targets` is the number of targets, when known. */
export function sentence(health: HealthAnswer, host: string, targets: number | undefined): string {
  const bad = troubled(health.components).filter((one) => one.status !== "unknown");
  const first = bad[0];
  if (!first) {
    if (health.status === "unknown") return words.tooEarly(host);
    if (targets === undefined) return words.well(host);
    if (targets === 0) return words.wellAlone(host);
    return words.wellAll(host, targets);
  }
  const more = bad.length - 1;
  return more > 0 ? words.andMore(named(first), more) : named(first);
}
