/** The inbox: what is wrong, worst first; several can be dealt with at once. */

import { useComputed, useSignal } from "@preact/signals";

import { call } from "../../data/api";
import { alertChanges } from "../../data/live";
import { usePolled } from "../../data/poll";
import type { Alert } from "../../data/types";
import { useAction } from "../../parts/action";
import { Empty } from "../../parts/empty";
import { ChoiceFilter, FilterBar, SearchFilter } from "../../parts/filters";
import { Loaded } from "../../parts/loaded";
import { offsetOf, Pager } from "../../parts/pager";
import { rankOf, SEVERITIES, SeverityPill } from "../../parts/severity";
import { Table, type Column } from "../../parts/table";
import { When } from "../../parts/when";
import { filter, href, navigate } from "../../router";
import { useKeys } from "../../shell/keyboard";
import { alerts as words, parts } from "../../text";
import { plain } from "../../text/units";
import { DeedDialog, type Asked, type Deed } from "./deeds";
import { Flags, instanceOf, StateWord } from "./state";
import { byWeight } from "./weight";

const LIMIT = 100;
const FILTERS = ["q", "state", "severity", "source", "acknowledged"] as const;

function load(signal: AbortSignal) {
  const given = (name: (typeof FILTERS)[number]) => filter(name) || undefined;
  const query = {
    q: given("q"),
    state: given("state"),
    severity: given("severity"),
    source: given("source"),
    acknowledged: filter("acknowledged") === "" ? undefined : filter("acknowledged") === "yes",
    limit: LIMIT,
    offset: offsetOf(),
  };
  return call("GET /api/v1/monitoring/alerts", { query, signal });
}

const COLUMNS: readonly Column<Alert>[] = [
  {
    id: "alert",
    title: words.columns.alert,
    head: true,
    wide: true,
    sort: (alert) => alert.title,
    cell: (alert) => (
      <>
        <a href={href(`/alerts/${alert.id}`)}>{alert.title}</a>
        <span class="second">
          {[alert.rule, ...instanceOf(alert).map(([name, value]) => `${name}=${value}`)].join(" \u00b7 ")}
        </span>
      </>
    ),
  },
  {
    id: "severity",
    title: words.columns.severity,
    sort: (alert) => rankOf(alert.severity_level),
    cell: (alert) => <SeverityPill severity={alert.severity_level} />,
  },
  {
    id: "state",
    title: words.columns.state,
    sort: (alert) => alert.state,
    cell: (alert) => (
      <>
        <StateWord alert={alert} />
        <Flags alert={alert} />
      </>
    ),
  },
  { id: "value", title: words.columns.value, number: true, sort: (alert) => alert.value, cell: (alert) => plain(alert.value) },
  {
    id: "since",
    title: words.columns.since,
    number: true,
    sort: (alert) => alert.fired_at ?? alert.created_at,
    cell: (alert) => <When at={alert.fired_at ?? alert.created_at} />,
  },
];

/** Moves the focus among the links of the rows. */
function step(by: number): void {
  const links = [...document.querySelectorAll<HTMLAnchorElement>("[data-key] a")];
  const at = links.indexOf(document.activeElement as HTMLAnchorElement);
  links[at < 0 ? (by > 0 ? 0 : links.length - 1) : (at + by + links.length) % links.length]?.focus();
}

export function AlertsPage() {
  const hurry = useComputed(() => [alertChanges.value, ...FILTERS.map(filter), offsetOf()]);
  const list = usePolled(load, 15_000, hurry);
  const selected = useSignal<ReadonlySet<string>>(new Set());
  const asked = useSignal<Asked | undefined>(undefined);
  const chosen = useComputed(() => (list.value.value?.alerts ?? []).filter((alert) => selected.value.has(alert.id)));
  const focused = () => document.activeElement?.closest("[data-key]")?.getAttribute("data-key");
  const ask = (deed: Deed) => {
    const key = focused();
    const one = list.value.value?.alerts.filter((alert) => alert.id === key) ?? [];
    const alerts = chosen.value.length > 0 ? chosen.value : one;
    if (alerts.length > 0) asked.value = { deed, alerts };
  };
  useKeys([
    { key: "j", words: words.keys.next, run: () => step(1) },
    { key: "k", words: words.keys.previous, run: () => step(-1) },
    { key: "x", words: words.keys.select, run: () => toggle(focused()) },
    { key: "a", words: words.keys.acknowledge, run: () => ask("acknowledge") },
    { key: "s", words: words.keys.silence, run: () => ask("silence") },
    { key: "r", words: words.keys.resolve, run: () => ask("resolve") },
  ]);
  const toggle = (key: string | null | undefined) => {
    if (!key) return;
    const next = new Set(selected.value);
    if (!next.delete(key)) next.add(key);
    selected.value = next;
  };
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <TestButton />
        <p class="lead muted">{words.lead}</p>
      </div>
      <Filters />
      <Loaded resource={list} what={words.title}>
        {(answer) => (
          <>
            <Table
              label={words.title}
              columns={COLUMNS}
              rows={filter("state") === "" ? byWeight(answer.alerts) : answer.alerts}
              keyOf={(alert) => alert.id}
              nameOf={(alert) => alert.title}
              selected={selected}
              empty={<Nothing />}
            />
            <Pager total={answer.total} limit={LIMIT} />
          </>
        )}
      </Loaded>
      {chosen.value.length > 0 && (
        <div class="bulk" role="group" aria-label={words.selected(chosen.value.length)}>
          <strong>{words.selected(chosen.value.length)}</strong>
          <span class="spring" />
          <button type="button" class="button primary" onClick={() => ask("acknowledge")}>
            {words.acknowledge}
          </button>
          <button type="button" class="button" onClick={() => ask("silence")}>
            {words.silence}
          </button>
          <button type="button" class="button" onClick={() => ask("resolve")}>
            {words.resolve}
          </button>
          <button type="button" class="button plain" onClick={() => (selected.value = new Set())}>
            {words.clear}
          </button>
        </div>
      )}
      <DeedDialog
        asked={asked}
        done={() => {
          selected.value = new Set();
          list.retry();
        }}
      />
    </div>
  );
}

function Filters() {
  const severities = SEVERITIES.map((severity) => [severity, parts.severities[severity]] as const).reverse();
  const states = Object.entries(words.states).filter(([state]) => state !== "active");
  return (
    <FilterBar names={FILTERS}>
      <SearchFilter name="q" label={words.search} />
      <ChoiceFilter name="state" label={words.state} options={states} none={words.states.active} />
      <ChoiceFilter name="severity" label={words.severity} options={severities} />
      <ChoiceFilter
        name="acknowledged"
        label={words.acknowledged}
        options={[
          ["no", words.no],
          ["yes", words.yes],
        ]}
      />
    </FilterBar>
  );
}

function TestButton() {
  const send = useAction(async () => {
    const { id } = await call("POST /test-alert", { body: { severity: "medium", title: words.testTitle } });
    navigate(`/alerts/${id}`);
    return words.tested;
  });
  return (
    <button type="button" class="button" disabled={send.busy.value} onClick={() => void send.run()}>
      {words.test}
    </button>
  );
}

function Nothing() {
  if (FILTERS.some((name) => filter(name) !== "")) {
    return <Empty title={words.emptyFiltered} text={words.emptyFilteredText} />;
  }
  return (
    <Empty title={words.emptyTitle} text={words.emptyText} command={{ text: "holdfast alerts test", label: words.emptyLabel }} />
  );
}
