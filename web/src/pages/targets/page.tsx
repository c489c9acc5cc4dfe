/** Every target: how it is, which part it plays, how fast it answers. */

import { useComputed } from "@preact/signals";

import { call } from "../../data/api";
import { changes, failoverChanges } from "../../data/live";
import { usePolled } from "../../data/poll";
import type { Group, TargetStatus } from "../../data/types";
import { Empty } from "../../parts/empty";
import { ChoiceFilter, FilterBar, SearchFilter } from "../../parts/filters";
import { Loaded } from "../../parts/loaded";
import { Table, type Column } from "../../parts/table";
import { When } from "../../parts/when";
import { filter, href, NEW } from "../../router";
import { breaker as breakerWords, targets as words } from "../../text";
import { latency, NOTHING, percent } from "../../text/units";
import { BreakerPill, inTrouble, StatePill, troubleOf, wordOf } from "./state";

const FILTERS = ["q", "kind", "state"];
const EXAMPLE = `[[target.postgres]]
name = "pg1"
host = "127.0.0.1"
user = "holdfast"
password_file = "/etc/holdfast/pg1"`;

/** The part that each member of a group plays, by the name of its target. */
export function rolesOf(groups: readonly Group[]): Map<string, { text: string; group: string }> {
  const found = new Map<string, { text: string; group: string }>();
  for (const group of groups) {
    for (const member of group.members) found.set(member.name, { text: words.role(words.roles[member.state], group.name), group: group.name });
  }
  return found;
}

export function kindWord(kind: string): string {
  return kind in words.kinds ? words.kinds[kind as keyof typeof words.kinds] : kind;
}

function columnsOf(roles: ReturnType<typeof rolesOf>): Column<TargetStatus>[] {
  const role = (target: TargetStatus) => roles.get(target.name);
  const columns: Column<TargetStatus>[] = [
    {
      id: "name",
      title: words.columns.name,
      head: true,
      sort: (one) => one.name,
      cell: (one) => (
        <span>
          <a href={href(`/targets/${encodeURIComponent(one.name)}`)}>{one.name}</a>
          <span class="second">{one.address}</span>
          {troubleOf(one) !== "" && <span class="second fault">{troubleOf(one)}</span>}
        </span>
      ),
    },
    { id: "kind", title: words.columns.kind, sort: (one) => one.kind, cell: (one) => <span class="nowrap">{kindWord(one.kind)}</span> },
    { id: "state", title: words.columns.state, sort: wordOf, cell: (one) => <StatePill target={one} /> },
  ];
  if (roles.size > 0) {
    columns.push({
      id: "role",
      title: words.columns.role,
      sort: (one) => role(one)?.text,
      cell: (one) => {
        const found = role(one);
        return found ? <a class="nowrap" href={href(`/failover/${encodeURIComponent(found.group)}`)}>{found.text}</a> : <span class="muted">{NOTHING}</span>;
      },
    });
  }
  columns.push(
    { id: "breaker", title: words.columns.breaker, sort: (one) => breakerWords.states[one.breaker], cell: (one) => <BreakerPill state={one.breaker} /> },
    { id: "p50", title: words.columns.p50, number: true, sort: (one) => one.p50_ms, cell: (one) => latency(one.p50_ms) },
    { id: "p95", title: words.columns.p95, number: true, sort: (one) => one.p95_ms, cell: (one) => latency(one.p95_ms) },
    {
      id: "errors",
      title: words.columns.errors,
      number: true,
      sort: (one) => one.error_share,
      cell: (one) => <span title={words.figuresTitle}>{percent(one.probes === 0 ? undefined : 100 * one.error_share)}</span>,
    },
    { id: "last", title: words.columns.last, sort: (one) => one.last?.at, cell: (one) => <When at={one.last?.at} /> },
  );
  return columns;
}

function matches(target: TargetStatus): boolean {
  if (!`${target.name} ${target.address}`.toLowerCase().includes(filter("q").toLowerCase())) return false;
  if (filter("kind") !== "" && target.kind !== filter("kind")) return false;
  if (filter("state") === "off") return !target.enabled;
  return filter("state") !== "trouble" || inTrouble(target);
}

export function TargetsPage() {
  const list = usePolled((signal) => call("GET /api/v1/targets", { query: { limit: 1000 }, signal }), 5000, changes);
  const groups = usePolled((signal) => call("GET /api/v1/failover/groups", { query: { limit: 1000 }, signal }), 15_000, failoverChanges);
  const columns = useComputed(() => columnsOf(rolesOf(groups.value.value?.items ?? [])));
  const kinds = useComputed(() => [...new Set((list.value.value?.items ?? []).map((one) => one.kind))].sort());
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <a class="button primary" href={href(`/targets/${NEW}`)}>
          {words.add}
        </a>
        <p class="lead muted">{words.lead}</p>
      </div>
      <Loaded resource={list} what={words.title}>
        {(answer) =>
          answer.items.length === 0 ? (
            <div class="card">
              <Empty title={words.emptyTitle} text={words.emptyText} command={{ text: EXAMPLE, label: words.emptyLabel }} />
            </div>
          ) : (
            <>
              <FilterBar names={FILTERS}>
                <SearchFilter name="q" label={words.search} />
                <ChoiceFilter name="kind" label={words.kind} options={kinds.value.map((kind) => [kind, kindWord(kind)] as const)} />
                <ChoiceFilter name="state" label={words.state} options={Object.entries(words.states)} />
              </FilterBar>
              <Table
                label={words.title}
                columns={columns.value}
                rows={answer.items.filter(matches)}
                keyOf={(one) => one.name}
                empty={<Empty title={words.noneTitle} text={words.noneText} />}
              />
            </>
          )
        }
      </Loaded>
    </div>
  );
}
