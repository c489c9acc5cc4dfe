/** The configuration as a resource, and changes made from what it said last. */

import { useRef } from "preact/hooks";

import { Problem } from "../../data/api";
import { applyPatch, loadConfig, patchOf, type Config } from "../../data/config";
import { changes } from "../../data/live";
import { usePolled, type Resource } from "../../data/poll";
import type { Json } from "../../data/toml";
import { useAction, type Action } from "../../parts/action";
import { settings as words } from "../../text";

/** Somebody else changed it meanwhile. */
const STALE = 412;

export function useConfig(): Resource<Config> {
  return usePolled(loadConfig, 30_000, changes);
}

/** Sets keys; `null` takes a run-time value back. True when they are in force. */
export type Apply = Action<[values: Readonly<Record<string, Json>>]>;

/**
 * The ETag is that of what a person saw when they began: what is polled meanwhile must not
 * make their change look newer than it is.
 */
export function useApply(config: Resource<Config>, done?: () => void): Apply {
  const etag = useRef(config.value.peek()?.etag);
  return useAction(async (values) => {
    const from = etag.current ?? config.value.peek()?.etag ?? "";
    const applied = await applyPatch(from, patchOf(values)).catch((error: unknown) => {
      if (error instanceof Problem && error.status === STALE) {
        // They were told; whoever then saves once more means it, from what is in force by then.
        etag.current = undefined;
        config.retry();
      }
      throw error;
    });
    etag.current = applied.etag;
    config.retry();
    done?.();
    return words.saved(applied.restart);
  }, true);
}

export function valueAt(config: Config, key: string): unknown {
  return config.shown.values.find((one) => one.key === key)?.value;
}
