/**
 * A resource that is asked for every so often while the page is shown, and at once
 * when something that concerns it changed.
 */

import { signal, type ReadonlySignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { asProblem, wasAborted, type Problem } from "./api";
import { reloads, shown } from "./live";

export interface Resource<T> {
  value: ReadonlySignal<T | undefined>;
  error: ReadonlySignal<Problem | undefined>;
  retry(): void;
}

/** `hurry` is a signal whose change means: ask now. */
export function usePolled<T>(
  load: (signal: AbortSignal) => Promise<T>,
  period: number,
  hurry?: ReadonlySignal<unknown>,
): Resource<T> {
  const resource = useMemo(() => {
    const value = signal<T | undefined>(undefined);
    const error = signal<Problem | undefined>(undefined);
    let running: AbortController | undefined;
    const run = async () => {
      running?.abort();
      const mine = new AbortController();
      running = mine;
      try {
        const answer = await load(mine.signal);
        if (running !== mine) return;
        value.value = answer;
        error.value = undefined;
      } catch (problem) {
        if (!wasAborted(problem) && running === mine) error.value = asProblem(problem);
      }
    };
    return { value, error, retry: () => void run(), run, cancel: () => running?.abort() };
  }, []);
  useEffect(() => {
    void resource.run();
    const timer = setInterval(() => {
      if (shown.peek()) void resource.run();
    }, period);
    // A signal calls back once at once; that first call is not a change.
    const onChange = (source: ReadonlySignal<unknown>) => {
      let first = true;
      return source.subscribe(() => {
        if (!first && shown.peek()) void resource.run();
        first = false;
      });
    };
    const stops = [onChange(reloads), onChange(shown)];
    if (hurry) stops.push(onChange(hurry));
    return () => {
      clearInterval(timer);
      for (const stop of stops) stop();
      resource.cancel();
    };
  }, []);
  return resource;
}
