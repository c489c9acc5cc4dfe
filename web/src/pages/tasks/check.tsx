/** One check: how it is, how its job reports, what it reported, its settings. */

import { call } from "../../data/api";
import { taskChanges } from "../../data/live";
import { usePolled } from "../../data/poll";
import type { Section } from "../../data/toml";
import type { Check, Schemas } from "../../data/types";
import { useAction } from "../../parts/action";
import { Command } from "../../parts/command";
import { confirm } from "../../parts/confirm";
import { Empty } from "../../parts/empty";
import { Facts } from "../../parts/facts";
import { Loaded } from "../../parts/loaded";
import { offsetOf, Pager } from "../../parts/pager";
import { NewSection, StoredSection, type Key } from "../../parts/section_form";
import { Pill, type Tone } from "../../parts/status";
import { Table, type Column } from "../../parts/table";
import { Tabs } from "../../parts/tabs";
import { Clock, When } from "../../parts/when";
import { href, navigate, NEW } from "../../router";
import { tasks as words } from "../../text";
import { latency, NOTHING } from "../../text/units";
import type { PageProps } from "../index";
import { PauseButton } from "./page";
import { addressOf, around, CheckPill } from "./state";

const LIMIT = 50;

const KEYS: readonly Key[] = [
  { key: "period", words: words.keys.period, hint: words.keys.periodHint, example: "1d" },
  { key: "grace", words: words.keys.grace, hint: words.keys.graceHint, example: "1h" },
  { key: "start_timeout", words: words.keys.timeout, example: "1h" },
  { key: "slug", words: words.keys.slug },
  { key: "description", words: words.keys.description },
  { key: "enabled", words: words.keys.enabled, form: "flag", without: true },
];

export function CheckPage({ params }: PageProps) {
  const name = params["name"] ?? "";
  return name === NEW ? <New /> : <Existing key={name} name={name} />;
}

function Existing({ name }: { name: string }) {
  const check = usePolled((signal) => call("GET /api/v1/checks/{name}", { path: { name }, signal }), 10_000, taskChanges);
  const remove = useAction(async () => {
    if (!(await confirm({ title: words.removeTitle, text: words.removeText(name), action: words.remove, word: name }))) return;
    await call("DELETE /api/v1/checks/{name}", { path: { name } });
    navigate("/tasks");
    return words.removed(name);
  });
  const value = check.value.value;
  return (
    <div class="page">
      <div class="head-row">
        <h1>{name}</h1>
        {value && (
          <>
            <button type="button" class="button" disabled={remove.busy.value} onClick={() => void remove.run()}>
              {words.remove}
            </button>
            <PauseButton check={value} reload={check.retry} />
          </>
        )}
        <p class="lead muted">
          <a href={href("/tasks")}>{words.back}</a>
        </p>
      </div>
      <Loaded resource={check} what={words.title}>
        {(shown) => (
          <Tabs
            label={name}
            tabs={[
              { id: "now", title: words.checkTabs.now, body: () => <Now check={shown} /> },
              { id: "settings", title: words.checkTabs.settings, body: () => <Settings name={name} done={check.retry} /> },
            ]}
          />
        )}
      </Loaded>
    </div>
  );
}

function Now({ check }: { check: Check }) {
  const { facts } = words;
  const took = check.last_duration_seconds;
  return (
    <>
      <div class="columns">
        <section class="card pad" aria-labelledby="status">
          <h2 id="status">
            {words.columns.status} <CheckPill check={check} />
          </h2>
          <Facts
            items={[
              [facts.description, check.description],
              [facts.status, words.reasons[check.reason]],
              [facts.since, <When at={check.since} />],
              [facts.every, words.every(check.period, check.grace, check.start_timeout)],
              [facts.last, check.last_ping && <When at={check.last_ping} />],
              [facts.start, check.last_start && <When at={check.last_start} />],
              [facts.took, took !== null && took !== undefined && latency(1000 * took)],
              [facts.due, check.next_due && <When at={check.next_due} />],
              [facts.down, check.down_at && <When at={check.down_at} />],
              [facts.reports, String(check.pings)],
            ]}
          />
        </section>
        <How check={check} />
      </div>
      <Pings name={check.name} />
    </>
  );
}

function How({ check }: { check: Check }) {
  const [own, bySlug] = [addressOf(check.ping_url), addressOf(check.slug_url)];
  return (
    <section class="card pad stack small-gap" aria-labelledby="how">
      <h2 id="how">{words.how}</h2>
      <p class="muted small">{words.howLead}</p>
      {!own && <p>{words.urlHidden}</p>}
      {own && (
        <>
          <h3>{words.byId}</h3>
          <Command text={own} label={words.urlLabel(check.name)} />
          {bySlug && <h3>{words.bySlug}</h3>}
          {bySlug && <Command text={bySlug} label={words.slugLabel} />}
          <h3>{words.script}</h3>
          <Command text={around(own)} label={words.scriptLabel} />
        </>
      )}
    </section>
  );
}

type Ping = Schemas["List_Ping"]["items"][number];

const TONES: Record<Ping["kind"], Tone> = { success: "ok", fail: "bad", start: "off", log: "off" };

const COLUMNS: readonly Column<Ping>[] = [
  { id: "at", title: words.pingColumns.at, head: true, cell: (one) => <Clock at={one.at} /> },
  {
    id: "kind",
    title: words.pingColumns.kind,
    cell: (one) => (
      <span>
        <Pill tone={TONES[one.kind]}>{words.kinds[one.kind]}</Pill>
        {one.exit !== null && one.exit !== undefined && <span class="second">{words.exit(one.exit)}</span>}
      </span>
    ),
  },
  { id: "took", title: words.pingColumns.took, number: true, cell: (one) => (one.duration_seconds === null || one.duration_seconds === undefined ? NOTHING : latency(1000 * one.duration_seconds)) },
  { id: "body", title: words.pingColumns.body, wide: true, cell: (one) => (one.body === "" ? NOTHING : <pre class="body">{one.body}</pre>) },
];

function Pings({ name }: { name: string }) {
  const offset = offsetOf();
  return <PingList key={offset} name={name} offset={offset} />;
}

function PingList({ name, offset }: { name: string; offset: number }) {
  const query = { limit: LIMIT, offset };
  const list = usePolled((signal) => call("GET /api/v1/checks/{name}/pings", { path: { name }, query, signal }), 10_000, taskChanges);
  return (
    <section aria-labelledby="pings">
      <h2 id="pings">{words.pings}</h2>
      <Loaded resource={list} what={words.pings}>
        {(answer) => (
          <>
            <Table label={words.pings} columns={COLUMNS} rows={answer.items} keyOf={(one) => String(one.number)} empty={<Empty title={words.pingsNone} text={words.pingsNoneText} />} />
            <Pager total={answer.total} limit={LIMIT} />
          </>
        )}
      </Loaded>
    </section>
  );
}

function Settings({ name, done }: { name: string; done: () => void }) {
  const save = async (section: Section) => {
    await call("PUT /api/v1/checks/{name}", { path: { name }, body: section });
    done();
    return words.saved(name);
  };
  return <StoredSection name="check" keys={KEYS} load={(signal) => call("GET /api/v1/checks/{name}/config", { path: { name }, signal })} save={save} />;
}

function New() {
  return (
    <NewSection
      title={words.newTitle}
      list="/tasks"
      back={words.back}
      form={{ name: "check", given: { name: "", period: "1d", grace: "1h" }, keys: KEYS }}
      create={(section) => call("POST /api/v1/checks", { body: section })}
      saved={words.saved}
    />
  );
}
