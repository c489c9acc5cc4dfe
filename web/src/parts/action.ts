/** Something that a press does at the agent: busy meanwhile, then its result or its refusal. */

import { signal, type ReadonlySignal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import { asProblem, type Problem } from "../data/api";
import { toast, toastProblem } from "./toast";

export interface Action<A extends unknown[]> {
  busy: ReadonlySignal<boolean>;
  problem: ReadonlySignal<Problem | undefined>;
  /** True when it was done. */
  run(...args: A): Promise<boolean>;
  clear(): void;
}

/**
 * `deed` answers what to say when it is done, or nothing. A form that shows the refusal
 * beside its fields is `quiet`; otherwise it is said as a toast.
 */
export function useAction<A extends unknown[]>(deed: (...args: A) => Promise<string | void>, quiet = false): Action<A> {
  const held = useMemo(() => ({ deed, busy: signal(false), problem: signal<Problem | undefined>(undefined) }), []);
  held.deed = deed;
  return useMemo(
    () => ({
      busy: held.busy,
      problem: held.problem,
      clear: () => (held.problem.value = undefined),
      run: async (...args: A) => {
        if (held.busy.value) return false;
        held.busy.value = true;
        held.problem.value = undefined;
        try {
          const said = await held.deed(...args);
          if (said) toast("ok", said);
          return true;
        } catch (error) {
          const problem = asProblem(error);
          held.problem.value = problem;
          if (!quiet) toastProblem(problem);
          return false;
        } finally {
          held.busy.value = false;
        }
      },
    }),
    [],
  );
}
