/** The log of all deliveries, with filters that the URL keeps. */

import { useComputed } from "@preact/signals";

import { call } from "../../data/api";
import { alertChanges } from "../../data/live";
import { usePolled } from "../../data/poll";
import { ChoiceFilter, FilterBar } from "../../parts/filters";
import { Loaded } from "../../parts/loaded";
import { offsetOf, Pager } from "../../parts/pager";
import { filter } from "../../router";
import { channels, deliveries as words } from "../../text";
import { Deliveries } from "./deliveries";

const LIMIT = 50;
const FILTERS = ["state", "channel"];

export function DeliveryLog({ channels: names }: { channels: readonly string[] }) {
  const hurry = useComputed(() => [alertChanges.value, ...FILTERS.map(filter), offsetOf()]);
  const list = usePolled(
    (signal) => {
      const query = { state: filter("state") || undefined, channel: filter("channel") || undefined, limit: LIMIT, offset: offsetOf() };
      return call("GET /api/v1/monitoring/deliveries", { query, signal });
    },
    10_000,
    hurry,
  );
  return (
    <>
      <FilterBar names={FILTERS}>
        <ChoiceFilter name="state" label={words.state} options={Object.entries(words.states)} />
        <ChoiceFilter name="channel" label={words.channel} options={names.map((name) => [name, name] as const)} />
      </FilterBar>
      <Loaded resource={list} what={channels.tabs.deliveries}>
        {(answer) => (
          <>
            <Deliveries items={answer.items} reload={list.retry} />
            <Pager total={answer.total} limit={LIMIT} />
          </>
        )}
      </Loaded>
    </>
  );
}
