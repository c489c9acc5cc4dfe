/**
 * The live connection: one WebSocket, resumed by sequence number.
 *
 *     connecting --open--> open --close, silence--> waiting --timer--> connecting
 *         |                                            ^
 *         +---------- close, too long to open ---------+
 *     any --page hidden--> asleep --page shown--> connecting
 *
 * What arrives goes into signals; what was missed is told by the agent as a `gap`,
 * which counts [`reloads`] up, and everything that holds history loads it anew.
 */

import { computed, signal } from "@preact/signals";

import { call } from "./api";
import { isSilent } from "./silence";
import type { EventMessage, HostSummary, SystemAnswer } from "./types";

export type Connection = "connecting" | "open" | "waiting" | "asleep";

const ADDRESS = "/api/v1/monitoring/events";
const TYPES = "metrics,target,system,alert,breaker,failover,task";
const RECENT = 30;
const BACKOFF_FIRST = 1000;
const BACKOFF_LAST = 5000;
/** A socket that does not open within this is given up: its packets may be lost for good, ms. */
const OPENING = 10_000;
/** After this long asleep the past is loaded anew instead of replayed. */
const REPLAY_LIMIT = 30_000;
/** Data older than this is called old. */
export const FRESH = 3000;

export const connection = signal<Connection>("connecting");
/** Figures of the last tick. */
export const summary = signal<HostSummary | undefined>(undefined);
/** The figures of the last half minute or so: what one tick shows alone is not yet a state. */
export const recent = signal<readonly HostSummary[]>([]);
/** Page time (ms) at which the last message came; 0 before the first. */
export const heardAt = signal(0);
/** Counts up when held history no longer joins the present. */
export const reloads = signal(0);
/** Counts up when a target, a breaker, a group or the agent changed state. */
export const changes = signal(0);
/** Count up with each event of their type. */
export const alertChanges = signal(0);
export const failoverChanges = signal(0);
export const taskChanges = signal(0);
export const system = signal<SystemAnswer | undefined>(undefined);
/** Page time, each second while the page is shown. */
export const second = signal(Date.now());
export const shown = signal(document.visibilityState !== "hidden");

/** How old the shown figures are, ms. */
export const dataAge = computed(() => (heardAt.value === 0 ? 0 : Math.max(0, second.value - heardAt.value)));
/** Whether what is shown may no longer be true. */
export const stale = computed(() => heardAt.value !== 0 && connection.value !== "open" && dataAge.value > FRESH);

/** The agent's clock less the browser's, ms: relative ranges mean the agent's present. */
const skew = signal(0);

export function agentNow(): number {
  return Date.now() + skew.value;
}

const listeners = new Set<(message: EventMessage) => void>();

/** Hands every message of the stream to `hear` until the returned function is called. */
export function listen(hear: (message: EventMessage) => void): () => void {
  listeners.add(hear);
  return () => listeners.delete(hear);
}

let socket: WebSocket | undefined;
let lastSequence = 0;
let attempt = 0;
let retryTimer: ReturnType<typeof setTimeout> | undefined;
let sleptAt = 0;
let openedAt = 0;
let beganAt = 0;

function open(): void {
  clearTimeout(retryTimer);
  connection.value = "connecting";
  beganAt = Date.now();
  const address = new URL(ADDRESS, location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  address.searchParams.set("types", TYPES);
  if (lastSequence > 0) address.searchParams.set("since", String(lastSequence));
  const opened = new WebSocket(address);
  socket = opened;
  opened.onopen = () => {
    openedAt = Date.now();
    connection.value = "open";
    void refreshSystem();
  };
  opened.onmessage = (event: MessageEvent<string>) => receive(event.data);
  opened.onclose = () => {
    if (socket === opened) retry();
  };
}

function retry(): void {
  socket = undefined;
  if (connection.value === "asleep") return;
  connection.value = "waiting";
  const wait = Math.min(BACKOFF_FIRST * 2 ** attempt, BACKOFF_LAST);
  attempt += 1;
  // Half of it is random, so that the pages of a restarted agent do not come all at once.
  retryTimer = setTimeout(open, wait / 2 + (Math.random() * wait) / 2);
}

function close(): void {
  const closing = socket;
  socket = undefined;
  closing?.close();
}

function receive(raw: string): void {
  let message: EventMessage;
  try {
    message = JSON.parse(raw) as EventMessage;
  } catch {
    return;
  }
  // A replayed number after the agent lost its sequence must not be taken for new.
  if (message.seq < lastSequence && message.type !== "gap") reloads.value += 1;
  lastSequence = message.seq;
  // Only now it works: a proxy may open a socket and close it again without an agent.
  attempt = 0;
  const arrived = Date.now();
  heardAt.value = arrived;
  second.value = arrived;
  for (const hear of listeners) hear(message);
  if (message.type === "metrics") {
    const figures = message.data as HostSummary;
    skew.value = figures.collected_at_ms - arrived;
    recent.value = [...recent.value.slice(1 - RECENT), figures];
    summary.value = figures;
  } else if (message.type === "gap") {
    reloads.value += 1;
  } else if (message.type === "alert") {
    alertChanges.value += 1;
  } else if (message.type === "task") {
    taskChanges.value += 1;
  } else {
    if (message.type === "failover") failoverChanges.value += 1;
    changes.value += 1;
  }
}

const RELOADED_FOR = "holdfast.reloaded-for";

/** Loads `/api/v1/system`; a page that an older build served loads itself again, once. */
export async function refreshSystem(): Promise<void> {
  let answer: SystemAnswer;
  try {
    answer = await call("GET /api/v1/system");
  } catch {
    return;
  }
  const before = system.value;
  const build = (one: SystemAnswer) => `${one.version} ${one.build.commit} ${one.build.profile}`;
  if (before && build(before) !== build(answer) && sessionStorage.getItem(RELOADED_FOR) !== build(answer)) {
    sessionStorage.setItem(RELOADED_FOR, build(answer));
    location.reload();
    return;
  }
  if (before && before.started_at !== answer.started_at) reloads.value += 1;
  system.value = answer;
}

function watchVisibility(): void {
  document.addEventListener("visibilitychange", () => {
    shown.value = document.visibilityState !== "hidden";
    if (!shown.value) {
      sleptAt = Date.now();
      clearTimeout(retryTimer);
      connection.value = "asleep";
      close();
      return;
    }
    second.value = Date.now();
    if (Date.now() - sleptAt > REPLAY_LIMIT) {
      lastSequence = 0;
      reloads.value += 1;
    }
    attempt = 0;
    if (!socket) open();
  });
}

export function startLive(): void {
  watchVisibility();
  setInterval(() => {
    if (!shown.value) return;
    second.value = Date.now();
    // A socket that neither speaks nor closes (a pulled cable) is given up, and one that does not open.
    const silent = connection.value === "open" && isSilent(second.value, openedAt, heardAt.value);
    const stuck = connection.value === "connecting" && second.value - beganAt > OPENING;
    if (silent || stuck) {
      close();
      retry();
    }
  }, 1000);
  if (shown.value) open();
  else connection.value = "asleep";
}
