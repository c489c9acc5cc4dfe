/** Runs of jobs, newest first: of one check, or of all. */

import { call } from "../../data/api";
import { taskChanges } from "../../data/live";
import { usePolled } from "../../data/poll";
import type { Task } from "../../data/types";
import { Empty } from "../../parts/empty";
import { ChoiceFilter, FilterBar } from "../../parts/filters";
import { Loaded } from "../../parts/loaded";
import { offsetOf, Pager } from "../../parts/pager";
import { Table, type Column } from "../../parts/table";
import { When } from "../../parts/when";
import { filter, href } from "../../router";
import { tasks as words } from "../../text";
import { latency, NOTHING } from "../../text/units";
import { TaskPill } from "./state";

const LIMIT = 50;

const COLUMNS: readonly Column<Task>[] = [
  {
    id: "name",
    title: words.jobColumns.name,
    head: true,
    cell: (one) => (one.check ? <a href={href(`/tasks/${encodeURIComponent(one.check)}`)}>{one.name}</a> : <strong>{one.name}</strong>),
  },
  { id: "state", title: words.jobColumns.state, cell: (one) => <TaskPill task={one} /> },
  { id: "began", title: words.jobColumns.began, cell: (one) => <When at={one.started_at ?? one.created_at} /> },
  { id: "took", title: words.jobColumns.took, number: true, cell: (one) => (one.duration_seconds === null || one.duration_seconds === undefined ? NOTHING : latency(1000 * one.duration_seconds)) },
  { id: "message", title: words.jobColumns.message, wide: true, cell: (one) => <span class="muted anywhere">{one.message ?? ""}</span> },
];

export function Jobs() {
  const [offset, state] = [offsetOf(), filter("state")];
  return (
    <>
      <FilterBar names={["state"]}>
        <ChoiceFilter name="state" label={words.state} options={Object.entries(words.states)} />
      </FilterBar>
      <List key={`${offset} ${state}`} offset={offset} state={state} />
    </>
  );
}

function List({ offset, state }: { offset: number; state: string }) {
  const query = { limit: LIMIT, offset, ...(state in words.states && { state: state as Task["state"] }) };
  const list = usePolled((signal) => call("GET /api/v1/tasks", { query, signal }), 10_000, taskChanges);
  return (
    <Loaded resource={list} what={words.tabs.jobs}>
      {(answer) => (
        <>
          <Table
            label={words.tabs.jobs}
            columns={COLUMNS}
            rows={answer.items}
            keyOf={(one) => one.id}
            empty={<Empty title={words.jobsNone} text={words.jobsNoneText} />}
          />
          <Pager total={answer.total} limit={LIMIT} />
        </>
      )}
    </Loaded>
  );
}
