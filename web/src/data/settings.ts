/** The few settings of the agent that the page needs, asked for once per connection. */

import { effect, signal } from "@preact/signals";

import { parseSpan } from "../text/units";
import { SECOND } from "../time/range";
import { call, type Answer } from "./api";
import { reloads } from "./live";

/** Time between two samples, ms. */
export const interval = signal(SECOND);
export const dataDirectory = signal<string | undefined>(undefined);
export const configFile = signal<string | undefined>(undefined);

/** A caller that may not read the configuration sees the defaults. */
export function startSettings(): void {
  effect(() => {
    void reloads.value;
    call("GET /api/v1/config").then(take, () => undefined);
  });
}

function take(answer: Answer<"GET /api/v1/config">): void {
  const text = (key: string) => {
    const value = answer.values.find((one) => one.key === key)?.value;
    return typeof value === "string" ? value : undefined;
  };
  interval.value = parseSpan(text("collect.interval") ?? "") ?? SECOND;
  dataDirectory.value = text("data_dir");
  configFile.value = answer.file ?? undefined;
}
