/** Checks with the addresses their jobs report to, and the runs of jobs. */

import { useComputed } from "@preact/signals";

import { call } from "../../data/api";
import { taskChanges } from "../../data/live";
import { usePolled } from "../../data/poll";
import type { Check } from "../../data/types";
import { useAction } from "../../parts/action";
import { Command } from "../../parts/command";
import { Empty } from "../../parts/empty";
import { Loaded } from "../../parts/loaded";
import { Table, type Column } from "../../parts/table";
import { Tabs } from "../../parts/tabs";
import { When } from "../../parts/when";
import { who } from "../../data/session";
import { href, NEW } from "../../router";
import { tasks as words } from "../../text";
import { Jobs } from "./jobs";
import { addressOf, CheckPill } from "./state";

const EXAMPLE = `[[check]]
name = "nightly_backup"
period = "1d"
grace = "2h"`;

/** Worst first. */
const RANK: Record<Check["status"], number> = { down: 0, late: 1, up: 2, new: 3, paused: 4 };

export function TasksPage() {
  // Who is signed in decides whether the answer holds addresses.
  const hurry = useComputed(() => `${taskChanges.value} ${who.value}`);
  const list = usePolled((signal) => call("GET /api/v1/checks", { query: { limit: 1000 }, signal }), 10_000, hurry);
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <a class="button primary" href={href(`/tasks/${NEW}`)}>
          {words.add}
        </a>
        <p class="lead muted">{words.lead}</p>
      </div>
      <Tabs
        label={words.title}
        tabs={[
          {
            id: "checks",
            title: words.tabs.checks,
            count: list.value.value?.total,
            body: () => (
              <Loaded resource={list} what={words.tabs.checks}>
                {(answer) => (
                  <Table
                    label={words.tabs.checks}
                    columns={columnsOf(list.retry)}
                    rows={answer.items}
                    keyOf={(one) => one.name}
                    sorted="status"
                    empty={<Empty title={words.emptyTitle} text={words.emptyText} command={{ text: EXAMPLE, label: words.emptyLabel }} />}
                  />
                )}
              </Loaded>
            ),
          },
          { id: "jobs", title: words.tabs.jobs, body: () => <Jobs /> },
        ]}
      />
    </div>
  );
}

function columnsOf(reload: () => void): Column<Check>[] {
  return [
    {
      id: "name",
      title: words.columns.name,
      head: true,
      sort: (one) => one.name,
      cell: (one) => (
        <span>
          <a href={href(`/tasks/${encodeURIComponent(one.name)}`)}>{one.name}</a>
          {one.description !== "" && <span class="second">{one.description}</span>}
        </span>
      ),
    },
    {
      id: "status",
      title: words.columns.status,
      sort: (one) => RANK[one.status],
      cell: (one) => (
        <span>
          <CheckPill check={one} />
          <span class="second nowrap">{words.reasons[one.reason]}</span>
        </span>
      ),
    },
    {
      id: "period",
      title: words.columns.period,
      cell: (one) => (
        <span>
          {one.period}
          <span class="second nowrap">{words.grace(one.grace)}</span>
        </span>
      ),
    },
    { id: "last", title: words.columns.last, sort: (one) => one.last_ping, cell: (one) => <span class="nowrap"><When at={one.last_ping} /></span> },
    { id: "due", title: words.columns.due, sort: (one) => one.next_due, cell: (one) => <span class="nowrap"><When at={one.next_due} /></span> },
    {
      id: "url",
      title: words.columns.url,
      wide: true,
      cell: (one) => {
        const address = addressOf(one.ping_url);
        return address ? <Command text={address} label={words.urlLabel(one.name)} /> : <span class="muted">{words.urlHidden}</span>;
      },
    },
    { id: "actions", title: words.pause, quiet: true, cell: (one) => <PauseButton check={one} reload={reload} small /> },
  ];
}

export function PauseButton({ check, reload, small = false }: { check: Check; reload: () => void; small?: boolean }) {
  const { name } = check;
  const paused = check.status === "paused";
  const turn = useAction(async () => {
    await call(paused ? "POST /api/v1/checks/{name}/resume" : "POST /api/v1/checks/{name}/pause", { path: { name } });
    reload();
    return paused ? words.resumed(name) : words.paused(name);
  });
  return (
    <button type="button" class={small ? "button small" : "button"} disabled={turn.busy.value} onClick={() => void turn.run()}>
      {paused ? words.resume : words.pause}
    </button>
  );
}
