/**
 * A page whose script is fetched when it is first opened, for pages that most visits never
 * see. An agent that was replaced meanwhile has it no more: then the whole page is loaded anew.
 */

import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";

import { asProblem, type Problem } from "../data/api";
import { parts } from "../text";
import { ProblemCard } from "./problem";

export function later<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let View: ComponentType<P> | undefined;
  return function Later(props: P) {
    const here = useSignal(View !== undefined);
    const problem = useSignal<Problem | undefined>(undefined);
    useEffect(() => {
      if (View) return;
      load().then(
        (loaded) => {
          View = loaded;
          here.value = true;
        },
        (error: unknown) => (problem.value = asProblem(error)),
      );
    }, []);
    if (here.value && View) return <View {...props} />;
    return (
      <>
        <h1 class="visually-hidden">{problem.value ? parts.thisPage : parts.loading}</h1>
        {problem.value ? (
          <ProblemCard error={problem.value} retry={() => location.reload()} what={parts.notLoaded(parts.thisPage)} />
        ) : (
          <div class="card skeleton" aria-busy="true" />
        )}
      </>
    );
  };
}
