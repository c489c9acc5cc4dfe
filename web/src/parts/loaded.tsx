/**
 * A resource on the page: a skeleton until it is there, the problem when it never came, and
 * the last good value with a remark when only the newest question failed.
 */

import type { ComponentChildren } from "preact";

import type { Resource } from "../data/poll";
import { parts } from "../text";
import { ProblemCard } from "./problem";

interface Props<T> {
  resource: Resource<T>;
  what: string;
  children: (value: T) => ComponentChildren;
}

export function Loaded<T>({ resource, what, children }: Props<T>) {
  const value = resource.value.value;
  const error = resource.error.value;
  return (
    <>
      {error && <ProblemCard error={error} retry={resource.retry} what={parts.notLoaded(what)} />}
      {value !== undefined
        ? children(value)
        : !error && (
            <div class="card skeleton" aria-busy="true">
              <span class="visually-hidden">{parts.loading}</span>
            </div>
          )}
    </>
  );
}
