/** What a group comes to, in words: what is, what would be, what would be lost. */

import type { Group, JournalRow } from "../../data/types";
import type { Tone } from "../../parts/status";
import { failover as words, moves } from "../../text";
import { bytes, latency } from "../../text/units";

/** The states that a failover goes through, in their order; the last is where it ends. */
export const STEPS = ["suspect", "confirmed", "unrouted", "cut", "promoting", "verifying", "steady"] as const;

const TONES: Partial<Record<Group["state"], Tone>> = {
  steady: "ok",
  suspect: "warn",
  switching: "warn",
  observing: "off",
  disabled: "off",
  paused: "warn",
};

/** A group that has nobody left to take over is not well, however steady it is. */
export function toneOfGroup(group: Pick<Group, "state" | "would_promote">): Tone {
  return group.state === "steady" && !group.would_promote ? "warn" : (TONES[group.state] ?? "bad");
}

/** Nothing acknowledged is lost by what the tier is, not only by how things happen to stand. */
const safe = (group: Pick<Group, "tier" | "expected_rpo_bytes">) => ["sync", "fenced"].includes(group.tier) && group.expected_rpo_bytes === 0;

export function lossOf(group: Pick<Group, "tier" | "expected_rpo_bytes">): string {
  const lost = group.expected_rpo_bytes;
  if (safe(group)) return words.loss.none;
  if (lost === null || lost === undefined) return words.loss.unknown;
  return lost === 0 ? words.loss.sofar : words.loss.some(bytes(lost));
}

export function sentenceOf(group: Group): string {
  const parts: string[] = [group.active ? words.serves(group.active) : words.noRoute];
  if (group.state !== "steady") parts.push(words.meanings[group.state]);
  else if (group.would_promote) parts.push(words.heir(group.would_promote, latency(group.expected_rto_ms)), lossOf(group));
  else parts.push(words.noHeir);
  return parts.join(" ");
}

/** What a failover to `to` may lose, line by line; without `to`, to whoever has the most. */
export function atStake(group: Group, to: string, force: boolean): string[] {
  const lines: string[] = [];
  const heir = to || group.would_promote || "";
  const lag = group.members.find((one) => one.name === heir)?.lag_bytes;
  if (group.tier === "switch") lines.push(moves.loseSwitch);
  else if (safe(group) && !force && (to === "" || to === group.would_promote)) lines.push(moves.loseNone);
  else if (heir === "" || lag === null || lag === undefined) lines.push(moves.loseUnknown(heir || moves.best));
  else lines.push(moves.loseLag(heir, bytes(lag)));
  if (force) lines.push(moves.loseForce);
  lines.push(moves.loseTransactions);
  return lines;
}

export interface Chapter {
  epoch: number;
  /** Oldest first. */
  rows: JournalRow[];
  /** From its beginning to the new route, ms; where both are known. */
  took: number | undefined;
}

/** The journal by epoch, newest first. */
export function chaptersOf(rows: readonly JournalRow[]): Chapter[] {
  const chapters = new Map<number, JournalRow[]>();
  for (const row of [...rows].sort((a, b) => a.number - b.number)) chapters.set(row.epoch, [...(chapters.get(row.epoch) ?? []), row]);
  const at = (found: JournalRow[], step: string) => {
    const row = found.find((one) => one.step === step);
    return row && Date.parse(row.at);
  };
  return [...chapters]
    .sort(([a], [b]) => b - a)
    .map(([epoch, found]) => {
      const [begin, route] = [at(found, "begin"), at(found, "route")];
      return { epoch, rows: found, took: begin !== undefined && route !== undefined ? route - begin : undefined };
    });
}
