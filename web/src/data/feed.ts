/**
 * A window of history that follows the time range: loads it whole when the range
 * changes, then only what is new, and keeps no more than the window needs.
 *
 * One request asks for all selectors of a page. The present is the time stamp of
 * the agent's last tick, so the newest point that is asked for exists already; a
 * point asked for too early would be answered from the sample before it and stay
 * wrong.
 */

import { effect, signal, untracked, type ReadonlySignal } from "@preact/signals";

import { align, chooseStep, HOUR, isLive, MINUTE, resolve, SECOND, type TimeRange, type Window } from "../time/range";
import { asProblem, call, wasAborted, type Problem } from "./api";
import { agentNow, heardAt, reloads, shown, summary } from "./live";
import { gridOf, joins, merge, type Grid } from "./series";

/** The agent takes so many selectors in one request. */
const SELECTORS = 64;
/** Newest points that are asked for again, should a late sample have changed them. */
const OVERLAP = 2;
/** Ticks that may be missing or late before a line breaks. */
const PATIENCE = 3;
/** New points are fetched no more often than this, ms. */
const PERIOD = 2 * SECOND;

/** Time between the rows of the coarsest resolution of an answer, ms; 0 for raw samples. */
function coarsest(resolutions: readonly string[]): number {
  if (resolutions.includes("1h")) return HOUR;
  return resolutions.includes("1m") ? MINUTE : 0;
}

export interface Feed {
  grid: ReadonlySignal<Grid | undefined>;
  error: ReadonlySignal<Problem | undefined>;
  loading: ReadonlySignal<boolean>;
  /** The window that the grid was asked for. */
  window: ReadonlySignal<Window | undefined>;
  /** What the agent says about its last answer, e.g. that a limit cut it. */
  warnings: ReadonlySignal<readonly string[]>;
  retry(): void;
  stop(): void;
}

interface Options {
  range: ReadonlySignal<TimeRange>;
  /** Interval of the samples, ms: no step is finer. */
  interval: ReadonlySignal<number>;
  /** At most so many points per series. */
  points: number;
}

export function startFeed(selectors: readonly string[], options: Options): Feed {
  if (selectors.length > SELECTORS) throw new Error(`at most ${SELECTORS} selectors, got ${selectors.length}`);
  const grid = signal<Grid | undefined>(undefined);
  const error = signal<Problem | undefined>(undefined);
  const loading = signal(true);
  const window = signal<Window | undefined>(undefined);
  const warnings = signal<readonly string[]>([]);
  let running: AbortController | undefined;
  /** No step of this range is finer, ms: the agent holds no finer samples of it. */
  let finest = 0;

  const present = () => untracked(() => summary.value?.collected_at_ms) ?? agentNow();

  async function ask(from: number, to: number, step: number, signal: AbortSignal): Promise<Grid> {
    // A value is drawn only near its own time: what has no younger one is a gap.
    const lookback = Math.max(step, PATIENCE * options.interval.peek());
    const seconds = (milliseconds: number) => String(milliseconds / SECOND);
    const query = {
      query: [...selectors],
      start: String(from),
      end: String(to),
      step: seconds(step),
      lookback: seconds(lookback),
    };
    const answer = await call("GET /api/v1/query_range", { query, signal });
    warnings.value = answer.warnings ?? [];
    return gridOf(answer);
  }

  async function load(whole: boolean): Promise<void> {
    const wanted = options.range.peek();
    const exact = resolve(wanted, present());
    const step = chooseStep(exact.to - exact.from, options.points, Math.max(options.interval.peek(), finest));
    const cut = align(exact, step);
    const before = grid.peek();
    const held = whole || before?.step !== step ? undefined : before;
    // One step earlier: the first value is only the base of the first rate.
    const first = cut.from - step;
    const last = held ? held.start + (held.length - 1) * step : first;
    if (held && cut.to <= last) return;
    const from = Math.max(first, last - OVERLAP * step);
    running?.abort();
    const mine = new AbortController();
    running = mine;
    loading.value = whole;
    try {
      const answer = await ask(from, cut.to, step, mine.signal);
      if (running !== mine) return;
      const kept = coarsest(answer.resolutions);
      if (kept > step && kept > finest) {
        finest = kept;
        return await load(true);
      }
      grid.value = held && joins(held, answer) ? merge(held, answer, first) : answer;
      window.value = cut;
      error.value = undefined;
    } catch (problem) {
      if (wasAborted(problem) || running !== mine) return;
      error.value = asProblem(problem);
    }
    if (running === mine) {
      running = undefined;
      loading.value = false;
    }
  }

  const stopRange = effect(() => {
    void options.range.value;
    void options.interval.value;
    void reloads.value;
    untracked(() => {
      finest = 0;
      if (shown.peek()) void load(true);
    });
  });
  let askedAt = 0;
  const stopTick = effect(() => {
    void summary.value;
    const visible = shown.value;
    untracked(() => {
      if (!visible || running) return;
      // A page that was opened in the background has not asked yet.
      const never = grid.peek() === undefined && error.peek() === undefined;
      const moving = isLive(options.range.peek()) && heardAt.peek() !== 0;
      const due = Date.now() - askedAt >= PERIOD - SECOND / 4;
      if (!never && !(moving && due)) return;
      askedAt = Date.now();
      void load(never);
    });
  });

  return {
    grid,
    error,
    loading,
    window,
    warnings,
    retry: () => void load(true),
    stop: () => {
      stopRange();
      stopTick();
      running?.abort();
      running = undefined;
    },
  };
}
