/** The probes of a target, newest first, with what each operation of them said. */

import { call } from "../../data/api";
import { changes } from "../../data/live";
import { usePolled } from "../../data/poll";
import type { Probe } from "../../data/types";
import { Empty } from "../../parts/empty";
import { Loaded } from "../../parts/loaded";
import { offsetOf, Pager } from "../../parts/pager";
import { OUTCOMES, Pill } from "../../parts/status";
import { Table, type Column } from "../../parts/table";
import { Clock } from "../../parts/when";
import { targets as words } from "../../text";
import { latency } from "../../text/units";

const LIMIT = 50;
const TICKS = 60;

const COLUMNS: readonly Column<Probe>[] = [
  { id: "at", title: words.historyColumns.at, head: true, cell: (one) => <Clock at={one.at} /> },
  { id: "state", title: words.historyColumns.state, cell: (one) => <Pill tone={OUTCOMES[one.class].tone}>{OUTCOMES[one.class].word}</Pill> },
  { id: "latency", title: words.historyColumns.latency, number: true, cell: (one) => latency(one.latency_ms) },
  {
    id: "operations",
    title: words.historyColumns.operations,
    wide: true,
    cell: (one) => (
      <span class="tags">
        {one.operations.map((done, i) => (
          <span key={i} class={done.class === "ok" ? "tag" : "tag bad"}>
            {done.operation} {done.class === "ok" ? latency(done.latency_ms) : done.detail || done.code || OUTCOMES[done.class].word}
          </span>
        ))}
      </span>
    ),
  },
];

export function Checks({ name }: { name: string }) {
  const offset = offsetOf();
  return <List key={offset} name={name} offset={offset} />;
}

function List({ name, offset }: { name: string; offset: number }) {
  const list = usePolled(
    (signal) => call("GET /api/v1/targets/{name}/history", { path: { name }, query: { limit: LIMIT, offset }, signal }),
    10_000,
    changes,
  );
  return (
    <Loaded resource={list} what={words.tabs.history}>
      {(answer) => (
        <>
          <Table
            label={words.tabs.history}
            columns={COLUMNS}
            rows={answer.items}
            keyOf={(one) => one.at}
            empty={<Empty title={words.historyNone} text={words.historyNoneText} />}
          />
          <Pager total={answer.total} limit={LIMIT} />
        </>
      )}
    </Loaded>
  );
}

/** One tick per probe, oldest first; what went wrong stands taller. */
export function Ticks({ name }: { name: string }) {
  const list = usePolled((signal) => call("GET /api/v1/targets/{name}/history", { path: { name }, query: { limit: TICKS }, signal }), 10_000, changes);
  const probes = [...(list.value.value?.items ?? [])].reverse();
  if (probes.length === 0) return null;
  const good = probes.filter((one) => one.class === "ok").length;
  return (
    <div class="ticks-row">
      <svg class="ticks" viewBox={`0 0 ${TICKS * 5} 24`} role="img" aria-label={words.lastChecks(good, probes.length)}>
        {probes.map((one, i) => {
          const { tone, word } = OUTCOMES[one.class];
          const height = one.class === "ok" ? 12 : 24;
          return (
            <rect key={one.at} class={tone} x={i * 5} y={24 - height} width="3.5" height={height} rx="1">
              <title>{`${word}, ${latency(one.latency_ms)}`}</title>
            </rect>
          );
        })}
      </svg>
      <span class="muted small">{words.lastChecks(good, probes.length)}</span>
    </div>
  );
}
