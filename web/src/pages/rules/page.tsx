/** All rules, with how often each fired: the noisy ones come to the top. */

import { useComputed, useSignal } from "@preact/signals";

import { call } from "../../data/api";
import { alertChanges } from "../../data/live";
import { usePolled } from "../../data/poll";
import { fireCounts } from "../../data/rules";
import type { Rule } from "../../data/types";
import { Empty } from "../../parts/empty";
import { ChoiceFilter, FilterBar, SearchFilter } from "../../parts/filters";
import { Loaded } from "../../parts/loaded";
import { rankOf } from "../../parts/severity";
import { Pill, type Tone } from "../../parts/status";
import { Table, type Column } from "../../parts/table";
import { filter, href, NEW } from "../../router";
import { parts, rules as words } from "../../text";
import { NOTHING, plain } from "../../text/units";
import { ImportDialog } from "./import";

const FILTERS = ["q", "origin", "show"] as const;

function stateOf(rule: Rule): { tone: Tone; word: string } {
  if (!rule.enabled) return { tone: "off", word: words.states.off };
  if (rule.health === "error") return { tone: "bad", word: words.states.error };
  if (rule.health === "unknown") return { tone: "off", word: words.states.unknown };
  return rule.instances === 0 ? { tone: "off", word: words.states.idle } : { tone: "ok", word: words.states.ok };
}

/** The levels of a rule in words: `high > 80, critical > 95`. */
export function levelsText(rule: Rule): string {
  if (rule.kind === "record") return words.record;
  if (rule.levels.length === 0) return rule.severity ? parts.severities[rule.severity] : NOTHING;
  return rule.levels.map((level) => `${parts.severities[level.severity]}\u00a0${rule.op ?? ""}\u00a0${plain(level.value)}`).join(", ");
}

function columnsOf(fired: Map<string, number> | undefined): Column<Rule>[] {
  return [
    {
      id: "name",
      title: words.columns.name,
      head: true,
      wide: true,
      sort: (rule) => rule.name,
      cell: (rule) => (
        <>
          <a href={href(`/rules/${encodeURIComponent(rule.name)}`)}>{rule.name}</a>
          <code class="second one-line" title={rule.expr}>
            {rule.expr}
          </code>
        </>
      ),
    },
    {
      id: "levels",
      title: words.columns.levels,
      sort: (rule) => (rule.severity ? rankOf(rule.severity) : -1),
      cell: levelsText,
    },
    {
      id: "active",
      title: words.columns.active,
      number: true,
      sort: (rule) => rule.active,
      cell: (rule) => (rule.active > 0 ? <Pill tone="bad">{rule.active}</Pill> : "0"),
    },
    {
      id: "fired",
      title: words.columns.fired,
      number: true,
      sort: (rule) => fired?.get(rule.name) ?? 0,
      cell: (rule) => <span title={words.firedTitle}>{fired ? (fired.get(rule.name) ?? 0) : NOTHING}</span>,
    },
    {
      id: "state",
      title: words.columns.state,
      sort: (rule) => stateOf(rule).word,
      cell: (rule) => {
        const { tone, word } = stateOf(rule);
        return tone === "bad" ? (
          <Pill tone={tone}>
            <span title={rule.error ?? ""}>{word}</span>
          </Pill>
        ) : (
          <span class={tone === "ok" ? "nowrap" : "muted nowrap"}>{word}</span>
        );
      },
    },
    { id: "origin", title: words.columns.origin, sort: (rule) => rule.origin, cell: (rule) => <span class="muted nowrap">{words.origins[rule.origin]}</span> },
  ];
}

function matches(rule: Rule, fired: Map<string, number> | undefined): boolean {
  const wanted = filter("q").toLowerCase();
  const text = `${rule.name} ${rule.alert} ${rule.title} ${rule.expr}`.toLowerCase();
  if (!text.includes(wanted)) return false;
  if (filter("origin") !== "" && rule.origin !== filter("origin")) return false;
  switch (filter("show")) {
    case "active":
      return rule.active > 0;
    case "fired":
      return (fired?.get(rule.name) ?? 0) > 0;
    case "error":
      return rule.health === "error";
    case "off":
      return !rule.enabled;
    default:
      return true;
  }
}

export function RulesPage() {
  const list = usePolled((signal) => call("GET /api/v1/monitoring/rules", { query: { limit: 1000 }, signal }), 15_000, alertChanges);
  const counts = usePolled(fireCounts, 60_000);
  const importing = useSignal(false);
  const columns = useComputed(() => columnsOf(counts.value.value));
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <button type="button" class="button" onClick={() => (importing.value = true)}>
          {words.import}
        </button>
        <a class="button primary" href={href(`/rules/${NEW}`)}>
          {words.add}
        </a>
        <p class="lead muted">{words.lead}</p>
      </div>
      <FilterBar names={FILTERS}>
        <SearchFilter name="q" label={words.search} />
        <ChoiceFilter name="show" label={words.show} options={Object.entries(words.shows)} />
        <ChoiceFilter name="origin" label={words.origin} options={Object.entries(words.origins)} />
      </FilterBar>
      <Loaded resource={list} what={words.title}>
        {(answer) => (
          <Table
            label={words.title}
            columns={columns.value}
            rows={answer.items.filter((rule) => matches(rule, counts.value.value))}
            keyOf={(rule) => rule.name}
            sorted="-active"
            empty={<Empty title={words.emptyTitle} text={words.emptyText} />}
          />
        )}
      </Loaded>
      <ImportDialog open={importing} done={list.retry} />
    </div>
  );
}
