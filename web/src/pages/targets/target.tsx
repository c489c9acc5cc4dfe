/** One target: how it is, its breaker, its operations, its probes, its settings. */

import { useSignal } from "@preact/signals";

import { call } from "../../data/api";
import { changes, failoverChanges } from "../../data/live";
import { usePolled } from "../../data/poll";
import { keysOf } from "../../data/target_kinds";
import type { Section } from "../../data/toml";
import type { TargetStatus } from "../../data/types";
import { useAction } from "../../parts/action";
import { confirm } from "../../parts/confirm";
import { Either } from "../../parts/either";
import { Facts } from "../../parts/facts";
import { SelectField } from "../../parts/form";
import { Loaded } from "../../parts/loaded";
import { NewSection, StoredSection } from "../../parts/section_form";
import { OUTCOMES } from "../../parts/status";
import { Tabs } from "../../parts/tabs";
import { href, navigate, NEW } from "../../router";
import { targets as words } from "../../text";
import { duration, latency } from "../../text/units";
import type { PageProps } from "../index";
import { BreakerCard } from "./breaker";
import { Checks, Ticks } from "./history";
import { Operations } from "./operations";
import { kindWord, rolesOf } from "./page";
import { StatePill, troubleOf } from "./state";

export function TargetPage({ params }: PageProps) {
  const name = params["name"] ?? "";
  return name === NEW ? <New /> : <Existing key={name} name={name} />;
}

function Existing({ name }: { name: string }) {
  const status = usePolled((signal) => call("GET /api/v1/targets/{name}", { path: { name }, signal }), 5000, changes);
  const probe = useAction(async () => {
    const answer = await call("POST /api/v1/targets/{name}/probe", { path: { name } });
    status.retry();
    return words.probed(OUTCOMES[answer.class].word, latency(answer.latency_ms));
  });
  const remove = useAction(async () => {
    if (!(await confirm({ title: words.removeTitle, text: words.removeText(name), action: words.remove, word: name }))) return;
    await call("DELETE /api/v1/targets/{name}", { path: { name } });
    navigate("/targets");
    return words.removed(name);
  });
  return (
    <div class="page">
      <div class="head-row">
        <h1>{name}</h1>
        {status.value.value && (
          <>
            <button type="button" class="button" disabled={remove.busy.value} onClick={() => void remove.run()}>
              {words.remove}
            </button>
            <button type="button" class="button primary" disabled={probe.busy.value} onClick={() => void probe.run()}>
              <Either busy={probe.busy.value} rest={words.probe} work={words.probing} />
            </button>
          </>
        )}
        <p class="lead muted">
          <a href={href("/targets")}>{words.back}</a>
        </p>
      </div>
      <Loaded resource={status} what={words.title}>
        {(target) => (
          <Tabs
            label={name}
            tabs={[
              { id: "now", title: words.tabs.now, body: () => <Now target={target} retry={status.retry} /> },
              { id: "history", title: words.tabs.history, body: () => <Checks name={name} /> },
              { id: "settings", title: words.tabs.settings, body: () => <Settings target={target} done={status.retry} /> },
            ]}
          />
        )}
      </Loaded>
    </div>
  );
}

function Now({ target, retry }: { target: TargetStatus; retry: () => void }) {
  const groups = usePolled((signal) => call("GET /api/v1/failover/groups", { query: { limit: 1000 }, signal }), 15_000, failoverChanges);
  const role = rolesOf(groups.value.value?.items ?? []).get(target.name);
  const { facts } = words;
  return (
    <>
      <section class="card pad" aria-labelledby="state">
        <h2 id="state">
          {kindWord(target.kind)} <StatePill target={target} since />
        </h2>
        {troubleOf(target) !== "" && <p class="target-problem">{troubleOf(target)}</p>}
        <div class="columns wide-gap">
          <Facts
            items={[
              [facts.address, <code>{target.address}</code>],
              [facts.every, duration(target.interval_ms)],
              [facts.member, role && <a href={href(`/failover/${encodeURIComponent(role.group)}`)}>{role.text}</a>],
            ]}
          />
          <Facts
            items={[
              [facts.figures, target.probes === 0 ? words.noProbe : words.figures(target.probes, target.failed)],
              [facts.latency, target.probes > 0 && words.latencies(latency(target.p50_ms), latency(target.p95_ms))],
              [facts.last, <Ticks name={target.name} />],
            ]}
          />
        </div>
      </section>
      <BreakerCard name={target.name} done={retry} />
      <Operations target={target} />
    </>
  );
}

function Settings({ target, done }: { target: TargetStatus; done: () => void }) {
  const { name, kind } = target;
  const save = async (section: Section) => {
    await call("PUT /api/v1/targets/{name}", { path: { name }, body: { ...section, kind } });
    done();
    return words.saved(name);
  };
  const load = (signal: AbortSignal) => call("GET /api/v1/targets/{name}/config", { path: { name }, signal });
  return <StoredSection name={`target.${kind}`} keys={keysOf(kind)} load={load} save={save} />;
}

function New() {
  const kind = useSignal("postgres");
  return (
    <NewSection
      title={words.newTitle}
      list="/targets"
      back={words.back}
      form={{
        name: `target.${kind.value}`,
        given: { name: "" },
        keys: keysOf(kind.value),
        children: <SelectField label={words.kind} value={kind} options={Object.entries(words.kinds)} />,
      }}
      create={(section) => call("POST /api/v1/targets", { body: { ...section, kind: kind.value } })}
      saved={words.saved}
    />
  );
}
