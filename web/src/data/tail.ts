/**
 * The newest events as a list, over a connection of its own: it chooses its types, begins
 * with what the agent still holds, and can be paused.
 *
 *     paused <--pause, resume--> connecting --open--> open --close--> waiting --> connecting
 *
 * It resumes after the last number it has seen, so that nothing is missed; what the agent
 * no longer holds it tells as a `gap`, which stands in the list as such. Wrong would be to
 * pause by dropping what arrives: nobody would know that something is missing.
 */

import { signal, type ReadonlySignal } from "@preact/signals";

import type { EventMessage } from "./types";

export type TailState = "connecting" | "open" | "waiting" | "paused";

export interface Tail {
  /** Newest first. */
  rows: ReadonlySignal<readonly EventMessage[]>;
  state: ReadonlySignal<TailState>;
  pause(): void;
  resume(): void;
  clear(): void;
  stop(): void;
}

/** More rows than this are not read by anybody. */
export const MOST_ROWS = 500;
const RETRY = 2000;
const ADDRESS = "/api/v1/monitoring/events";

/** Adds a message to the list; one that is there already is not added again. */
export function added(rows: readonly EventMessage[], message: EventMessage): readonly EventMessage[] {
  const last = rows[0];
  // A lower number is one of a store that began anew: then it is new all the same.
  if (last && last.seq === message.seq && last.timestamp === message.timestamp && last.type === message.type) return rows;
  return [message, ...rows].slice(0, MOST_ROWS);
}

export function startTail(types: readonly string[]): Tail {
  const rows = signal<readonly EventMessage[]>([]);
  const state = signal<TailState>("connecting");
  let socket: WebSocket | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last = 0;
  // What arrives in one turn is drawn at once: the ring is sent as a thousand messages.
  let waiting: EventMessage[] = [];
  const flush = () => {
    const batch = waiting;
    waiting = [];
    rows.value = batch.reduce(added, rows.peek());
  };
  const open = () => {
    state.value = "connecting";
    const address = new URL(ADDRESS, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    address.searchParams.set("types", types.join(","));
    address.searchParams.set("since", String(last));
    const mine = new WebSocket(address);
    socket = mine;
    mine.onopen = () => {
      if (socket === mine) state.value = "open";
    };
    mine.onmessage = (event: MessageEvent<string>) => {
      if (socket !== mine) return;
      const message = JSON.parse(event.data) as EventMessage;
      last = message.seq;
      if (waiting.length === 0) setTimeout(flush);
      waiting.push(message);
    };
    mine.onclose = () => {
      if (socket !== mine) return;
      state.value = "waiting";
      timer = setTimeout(open, RETRY);
    };
  };
  const close = () => {
    clearTimeout(timer);
    const closing = socket;
    socket = undefined;
    closing?.close();
  };
  open();
  return {
    rows,
    state,
    pause: () => {
      close();
      state.value = "paused";
    },
    resume: open,
    clear: () => void (rows.value = []),
    stop: close,
  };
}
