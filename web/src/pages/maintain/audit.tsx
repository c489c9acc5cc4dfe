/** Every change with who made it. The agent answers them in order; what is looked for is sought in the last ones. */

import { call, type Answer } from "../../data/api";
import { changes } from "../../data/live";
import { usePolled } from "../../data/poll";
import { Empty } from "../../parts/empty";
import { ChoiceFilter, FilterBar, SearchFilter } from "../../parts/filters";
import { Loaded } from "../../parts/loaded";
import { Pager, offsetOf } from "../../parts/pager";
import { Table, type Column } from "../../parts/table";
import { Clock } from "../../parts/when";
import { filter } from "../../router";
import { maintain as words } from "../../text";

type Entry = Answer<"GET /api/v1/audit">["items"][number];

const FILTERS = ["q", "who", "action"] as const;
const LIMIT = 1000;
const PAGE = 50;

const COLUMNS: readonly Column<Entry>[] = [
  { id: "action", title: words.columns.action, head: true, cell: (one) => <strong>{one.action}</strong> },
  { id: "object", title: words.columns.object, cell: (one) => one.object },
  { id: "detail", title: words.columns.detail, wide: true, cell: (one) => one.detail && <code class="anywhere muted">{one.detail}</code> },
  { id: "who", title: words.columns.who, cell: (one) => one.who },
  { id: "at", title: words.columns.at, cell: (one) => <Clock at={one.at} /> },
];

function matches(one: Entry): boolean {
  if (filter("who") !== "" && one.who !== filter("who")) return false;
  if (filter("action") !== "" && one.action !== filter("action")) return false;
  return `${one.action} ${one.object} ${one.detail}`.toLowerCase().includes(filter("q").toLowerCase());
}

const choices = (words: readonly string[]) => [...new Set(words)].sort().map((word) => [word, word] as const);

export function Audit() {
  const list = usePolled((signal) => call("GET /api/v1/audit", { query: { limit: LIMIT }, signal }), 30_000, changes);
  const all = list.value.value?.items ?? [];
  return (
    <>
      <p class="muted">{words.auditLead}</p>
      <FilterBar names={FILTERS}>
        <SearchFilter name="q" label={words.search} />
        <ChoiceFilter name="who" label={words.who} options={choices(all.map((one) => one.who))} />
        <ChoiceFilter name="action" label={words.action} options={choices(all.map((one) => one.action))} />
      </FilterBar>
      <Loaded resource={list} what={words.tabs.audit}>
        {(answer) => {
          const found = answer.items.filter(matches);
          return (
            <>
              <Table
                label={words.tabs.audit}
                columns={COLUMNS}
                rows={found.slice(offsetOf(), offsetOf() + PAGE)}
                keyOf={(one) => `${one.at} ${one.action} ${one.object}`}
                empty={<Empty title={words.emptyTitle} text={words.empty} />}
              />
              {answer.total > answer.items.length && <p class="muted">{words.more(answer.items.length, answer.total)}</p>}
              <Pager total={found.length} limit={PAGE} />
            </>
          );
        }}
      </Loaded>
    </>
  );
}
