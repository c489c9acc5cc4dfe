/** One failover group: how it stands, what could happen, what did, and what can be done. */

import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import { call } from "../../data/api";
import { changes } from "../../data/live";
import { usePolled } from "../../data/poll";
import { gauge, type Grid } from "../../data/series";
import type { Section } from "../../data/toml";
import type { Group } from "../../data/types";
import { useAction } from "../../parts/action";
import { Command } from "../../parts/command";
import { confirm } from "../../parts/confirm";
import { Facts } from "../../parts/facts";
import { Loaded } from "../../parts/loaded";
import { colourAt, type Line, type Plot } from "../../parts/plot";
import { NewSection, StoredSection, type Key } from "../../parts/section_form";
import { Pill, Shape } from "../../parts/status";
import { Tabs } from "../../parts/tabs";
import { TimedCharts } from "../../parts/timed_charts";
import { When } from "../../parts/when";
import { href, navigate, NEW } from "../../router";
import { failover as words } from "../../text";
import { SECOND } from "../../time/range";
import { bytes, latency } from "../../text/units";
import type { PageProps } from "../index";
import { Deeds } from "./deeds";
import { Journal } from "./journal";
import { Findings, Members, Rejoin } from "./members";
import { sentenceOf, STEPS, toneOfGroup } from "./sentence";
import { TopologyDrawing } from "./topology";

const KEYS: readonly Key[] = [
  { key: "members", words: words.settings.members, hint: words.settings.membersHint, form: "list", example: "pg1, pg2" },
  { key: "listen", words: words.settings.listen, example: "127.0.0.1:6432" },
  { key: "listen_read", words: words.settings.listenRead, example: "127.0.0.1:6433" },
  { key: "mode", words: words.settings.mode, options: ["auto", "manual", "router"] },
  { key: "tier", words: words.settings.tier, options: ["auto", "switch", "async", "sync", "fenced"] },
  { key: "max_lag", words: words.settings.maxLag, example: "1MiB" },
  { key: "cooldown", words: words.settings.cooldown, example: "10m" },
  { key: "enabled", words: words.settings.enabled, form: "flag", without: true },
];

/** While something happens it is asked this often, ms; events hurry it besides. */
const PERIOD = 2000;
/** The lag is told so seldom, ms. */
const LAG_INTERVAL = 10 * SECOND;

export function GroupPage({ params }: PageProps) {
  const name = params["name"] ?? "";
  return name === NEW ? <New /> : <Existing key={name} name={name} />;
}

function Existing({ name }: { name: string }) {
  const group = usePolled((given) => call("GET /api/v1/failover/groups/{name}", { path: { name }, signal: given }), PERIOD, changes);
  const value = group.value.value;
  return (
    <div class="page" data-state={value?.state}>
      <div class="head-row">
        <h1>{name}</h1>
        {value && <Deeds group={value} done={group.retry} />}
        <p class="lead muted">
          <a href={href("/failover")}>{words.back}</a>
        </p>
      </div>
      <Loaded resource={group} what={words.title}>
        {(shown) => (
          <Tabs
            label={name}
            tabs={[
              { id: "now", title: words.tabs.now, body: () => <Now group={shown} done={group.retry} /> },
              { id: "settings", title: words.tabs.settings, body: () => <Settings group={shown} done={group.retry} /> },
            ]}
          />
        )}
      </Loaded>
    </div>
  );
}

function lagPlot(grid: Grid): Plot[] {
  const lines = [...grid.series.values()]
    .sort((a, b) => (a.labels["member"] ?? "").localeCompare(b.labels["member"] ?? ""))
    .map((one, i): Line => ({ label: one.labels["member"] ?? "", values: gauge(one.values), colour: colourAt(i) }));
  return lines.length === 0 ? [] : [{ id: "lag", title: words.lagChart, format: bytes, binary: true, reach: 1024, lines }];
}

function Now({ group, done }: { group: Group; done: () => void }) {
  const tone = toneOfGroup(group);
  const interval = useMemo(() => signal(LAG_INTERVAL), []);
  return (
    <>
      <section class={`card verdict ${tone}`} aria-live="polite" data-part="verdict">
        <Shape tone={tone} size={14} />
        <div class="verdict-text">
          <p class="sentence">{sentenceOf(group)}</p>
          {group.refusal && <p class="fault">{words.refused(words.refusals[group.refusal.code], group.refusal.detail)}</p>}
          <Progress state={group.state} />
        </div>
        <Pill tone={tone}>{words.states[group.state]}</Pill>
      </section>
      <Rejoin group={group} done={done} />
      <div class="columns broad-first">
        <section class="card pad" aria-labelledby="topology">
          <h2 id="topology">{words.topology}</h2>
          <TopologyDrawing group={group} />
          <Last group={group} />
        </section>
        <section class="card pad stack" aria-label={words.tier}>
          <Facts
            items={[
              [words.tier, <><strong>{words.tiers[group.tier]}</strong><span class="second">{group.guarantee.replaceAll("`", "")}</span></>],
              [words.mode, words.modes[group.mode]],
              [words.epoch, <span title={words.epochHint}>{group.epoch}</span>],
              [words.pausedUntil, group.paused_until && <When at={group.paused_until} />],
            ]}
          />
          <div class="stack small-gap">
            <h3>{words.endpoint}</h3>
            <Command text={`postgresql://${group.endpoint}/`} label={words.endpointLabel} />
            {group.endpoint_read && (
              <>
                <h3>{words.readOnly}</h3>
                <Command text={`postgresql://${group.endpoint_read}/`} label={words.endpointLabel} />
              </>
            )}
          </div>
        </section>
      </div>
      <Members group={group} />
      <TimedCharts
        selectors={[`holdfast_failover_member_lag_bytes{group=${JSON.stringify(group.name)}}`]}
        interval={interval}
        plots={lagPlot}
        empty={words.lagNone}
        columns="one"
      />
      <div class="columns">
        <Journal name={group.name} />
        <Findings group={group} />
      </div>
    </>
  );
}

/** How far a failover is, while there is one. */
function Progress({ state }: { state: Group["state"] }) {
  const at = STEPS.findIndex((step) => step === state);
  if (at < 0 || state === "steady") return null;
  return (
    <ol class="progress" aria-label={words.progress}>
      {STEPS.map((step, i) => (
        <li key={step} class={i < at ? "past" : i === at ? "here" : ""} aria-current={i === at ? "step" : undefined}>
          {words.steps[step]}
        </li>
      ))}
    </ol>
  );
}

function Last({ group }: { group: Group }) {
  const last = group.last_failover;
  const titles = words.lastFacts;
  const lost = () => {
    if (last?.diverged) return words.lostDiverged;
    const bound = last?.lost_bytes_bound;
    if (bound === null || bound === undefined) return words.lostUnknown;
    return bound === 0 ? words.lostNone : words.lostSome(bytes(bound));
  };
  return (
    <div data-part="last" class="gap-above">
      <h3>{words.last}</h3>
      {last ? (
        <Facts
          items={[
            [titles.what, words.moved(last.from ?? words.nobody, last.to)],
            [titles.cause, last.by_operator ? `${words.byOperator}: ${last.cause}` : last.cause],
            [titles.outage, latency(last.outage_ms)],
            [titles.lost, lost()],
            [titles.at, <When at={last.started_at} />],
          ]}
        />
      ) : (
        <p class="muted">{words.lastNone}</p>
      )}
    </div>
  );
}

function Settings({ group, done }: { group: Group; done: () => void }) {
  const { name } = group;
  const remove = useAction(async () => {
    if (!(await confirm({ title: words.removeTitle, text: words.removeText(name, group.endpoint), action: words.remove, word: name }))) return;
    await call("DELETE /api/v1/failover/groups/{name}", { path: { name } });
    navigate("/failover");
    return words.removed(name);
  });
  const save = async (section: Section) => {
    await call("PUT /api/v1/failover/groups/{name}", { path: { name }, body: section });
    done();
    return words.saved(name);
  };
  return (
    <>
      <StoredSection
        name="failover.group"
        keys={KEYS}
        load={(given) => call("GET /api/v1/failover/groups/{name}/config", { path: { name }, signal: given })}
        save={save}
      />
      <p>
        <button type="button" class="button" disabled={remove.busy.value} onClick={() => void remove.run()}>
          {words.removeTitle}
        </button>
      </p>
    </>
  );
}

function New() {
  return (
    <NewSection
      title={words.newTitle}
      list="/failover"
      back={words.back}
      form={{ name: "failover.group", given: { name: "" }, keys: KEYS }}
      create={(section) => call("POST /api/v1/failover/groups", { body: section })}
      saved={words.saved}
    />
  );
}
