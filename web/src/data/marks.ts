/**
 * What happened in a window of time, for the charts of that time: alerts that fired and
 * ended, breakers that changed, routes that moved, configuration that was changed.
 *
 * A kind that cannot be read (no right, no such thing) is left out: marks are a help, and a
 * chart without them is still true. Wrong would be to ask who is there for their sake.
 */

import { computed, effect, signal, untracked, type ReadonlySignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import type { Mark } from "../parts/plot";
import { toneOfSeverity } from "../parts/severity";
import { BREAKERS } from "../parts/status";
import { marks as words } from "../text";
import type { Window } from "../time/range";
import { call } from "./api";
import { alertChanges, failoverChanges, shown } from "./live";
import { who } from "./session";

const LIMIT = 200;
/** Targets whose breakers are asked for. */
const TARGETS = 24;
/** The window moves each second; marks follow it no faster than this, ms. */
const PERIOD = 15_000;
/** Steps of a journal that a person means by "failover". */
const STEPS = ["begin", "route", "aborted"];

const inside = (window: Window) => (mark: Mark) => mark.at >= window.from && mark.at <= window.to;

async function alertMarks(window: Window, signal: AbortSignal): Promise<Mark[]> {
  const query = { state: "all", until: new Date(window.to).toISOString(), limit: LIMIT };
  const { alerts } = await call("GET /api/v1/monitoring/alerts", { query, signal, quiet: true });
  return alerts.flatMap((alert) => {
    const marks: Mark[] = [];
    const common = { kind: "alert" as const, href: `/alerts/${alert.id}` };
    if (alert.fired_at) marks.push({ ...common, at: Date.parse(alert.fired_at), tone: toneOfSeverity(alert.severity_level), text: alert.title });
    if (alert.fired_at && alert.resolved_at) {
      marks.push({ ...common, at: Date.parse(alert.resolved_at), tone: "ok", text: words.resolved(alert.title) });
    }
    return marks;
  });
}

async function breakerMarks(_window: Window, signal: AbortSignal): Promise<Mark[]> {
  const { items } = await call("GET /api/v1/targets", { query: { limit: TARGETS }, signal, quiet: true });
  const all = items.map(async ({ name }) => {
    const { transitions } = await call("GET /api/v1/targets/{name}/breaker", { path: { name }, signal, quiet: true });
    // A half open breaker is only a question; its answer is the mark.
    const told = transitions.filter((one) => one.to !== "half_open" && one.from !== "half_open" ? true : one.to === "closed");
    return told.map((one): Mark => {
      const word = one.to === "closed" ? words.closed : BREAKERS[one.to].word;
      return { at: Date.parse(one.at), kind: "breaker", tone: one.to === "closed" ? "ok" : "bad", text: `${name}: ${word}` };
    });
  });
  return (await Promise.all(all)).flat();
}

async function failoverMarks(_window: Window, signal: AbortSignal): Promise<Mark[]> {
  const { items } = await call("GET /api/v1/failover/groups", { query: { limit: LIMIT }, signal, quiet: true });
  const all = items.map(async ({ name }) => {
    const query = { limit: LIMIT };
    const journal = await call("GET /api/v1/failover/groups/{name}/journal", { path: { name }, query, signal, quiet: true });
    return journal.items
      .filter((row) => STEPS.includes(row.step))
      .map((row): Mark => ({
        at: Date.parse(row.at),
        kind: "failover",
        tone: row.step === "route" ? "ok" : "warn",
        text: `${name}: ${row.step} ${row.detail}`,
      }));
  });
  return (await Promise.all(all)).flat();
}

async function configMarks(_window: Window, signal: AbortSignal): Promise<Mark[]> {
  // Only an administrator may read who changed what.
  if (who.peek() === "") return [];
  const { items } = await call("GET /api/v1/audit", { query: { limit: LIMIT }, signal, quiet: true });
  return items
    .filter((row) => row.action.startsWith("config"))
    .map((row): Mark => ({ at: Date.parse(row.at), kind: "config", tone: "off", text: words.config(row.who, row.object) }));
}

export async function marksOf(window: Window, signal: AbortSignal): Promise<Mark[]> {
  const sources = [alertMarks, breakerMarks, failoverMarks, configMarks];
  const found = await Promise.all(sources.map((one) => one(window, signal).catch((): Mark[] => [])));
  return found.flat().filter(inside(window)).sort((a, b) => a.at - b.at);
}

/** The marks of a window that may move. */
export function useMarks(window: ReadonlySignal<Window | undefined>): ReadonlySignal<readonly Mark[]> {
  const held = useMemo(() => {
    const marks = signal<readonly Mark[]>([]);
    // A live window moves on; what is asked for moves in larger steps.
    const key = computed(() => {
      const now = window.value;
      return now && `${Math.floor(now.from / PERIOD)} ${Math.floor(now.to / PERIOD)} ${who.value} ${alertChanges.value} ${failoverChanges.value}`;
    });
    return { marks, key };
  }, []);
  useEffect(() => {
    let running: AbortController | undefined;
    const stop = effect(() => {
      if (held.key.value === undefined || !shown.value) return;
      const wanted = untracked(() => window.value);
      if (!wanted) return;
      running?.abort();
      const mine = new AbortController();
      running = mine;
      void marksOf(wanted, mine.signal).then((found) => {
        if (!mine.signal.aborted) held.marks.value = found;
      });
    });
    return () => {
      stop();
      running?.abort();
    };
  }, []);
  return held.marks;
}
