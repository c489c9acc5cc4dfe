/** The targets of one kind: state, latencies, last check; how to add one when there is none. */

import { agentNow, second } from "../../data/live";
import type { Resource } from "../../data/poll";
import { configFile } from "../../data/settings";
import type { List, OutcomeClass, TargetStatus } from "../../data/types";
import { Command } from "../../parts/command";
import { ProblemCard } from "../../parts/problem";
import { BREAKERS, OUTCOMES, Shape, type Tone } from "../../parts/status";
import { overview as words, parts } from "../../text";
import { age, latency, percent } from "../../text/units";
import { Tile, worst } from "./tiles";

type TargetKind = "postgres" | "object_store";

const KINDS: Record<TargetKind, { title: string; example: string }> = {
  postgres: {
    title: words.tiles.postgres,
    example: `[[target.postgres]]
name = "pg1"
host = "127.0.0.1"
user = "holdfast"
password_file = "/etc/holdfast/pg1"`,
  },
  object_store: {
    title: words.tiles.object_store,
    example: `[[target.object_store]]
name = "backup-a"
endpoint = "http://127.0.0.1:3900"
region = "garage"
bucket = "backups"
access_key_id = "GK..."
secret_access_key_file = "/etc/holdfast/backup-a"`,
  },
};

function toneOf(target: TargetStatus): Tone {
  return !target.class || !target.enabled ? "off" : OUTCOMES[target.class].tone;
}

const severity: Record<OutcomeClass, number> = { ok: 0, alive: 1, recovering: 2, soft: 3, hard: 4 };

/** The worst operation of the last probe, in its own words. */
function trouble(target: TargetStatus): string | undefined {
  const bad = (target.last?.operations ?? []).filter((one) => one.class !== "ok");
  const first = bad.sort((a, b) => severity[b.class] - severity[a.class])[0];
  return first && [first.operation, first.detail || first.code].filter((part) => part).join(": ");
}

export function TargetTile({ kind, targets }: { kind: TargetKind; targets: Resource<List<TargetStatus>> }) {
  const { title, example } = KINDS[kind];
  const all = targets.value.value;
  const error = targets.error.value;
  if (!all) {
    return (
      <Tile title={title} tone="off" word={error ? words.unknown : words.waiting}>
        {error && <ProblemCard error={error} retry={targets.retry} what={words.notLoaded} />}
      </Tile>
    );
  }
  const mine = all.items.filter((one) => one.kind === kind);
  if (mine.length === 0) {
    return (
      <Tile title={title} tone="off" word={words.noneYet}>
        <p class="muted tile-text">
          {words.addTo} <code>{configFile.value ?? "/etc/holdfast/holdfast.toml"}</code> {words.addThen}
        </p>
        <Command text={example} label={words.exampleLabel(title)} />
      </Tile>
    );
  }
  return <Entries title={title} targets={mine} />;
}

/** What is neither a database nor a bucket; nothing where there is none of it. */
export function ServicesTile({ targets }: { targets: Resource<List<TargetStatus>> }) {
  const others = (targets.value.value?.items ?? []).filter((one) => !(one.kind in KINDS));
  return others.length === 0 ? null : <Entries title={words.tiles.services} targets={others} wide />;
}

function Entries({ title, targets, wide = false }: { title: string; targets: readonly TargetStatus[]; wide?: boolean }) {
  const tone = worst(targets.map(toneOf));
  const failing = targets.filter((one) => toneOf(one) === "bad" || toneOf(one) === "warn").length;
  const well = targets.every((one) => !one.enabled) ? words.off : tone === "off" ? words.waiting : words.ok;
  return (
    <Tile title={title} tone={tone} wide={wide} word={failing === 0 ? well : words.trouble(failing, targets.length)}>
      <ul class="targets">
        {targets.map((one) => (
          <Entry key={one.name} target={one} />
        ))}
      </ul>
    </Tile>
  );
}

function Entry({ target }: { target: TargetStatus }) {
  // Read so that the ages count on between two answers.
  void second.value;
  const now = agentNow();
  const outcome = !target.class || !target.enabled ? undefined : OUTCOMES[target.class];
  const problem = target.enabled ? trouble(target) : undefined;
  const breaker = target.breaker === "closed" ? undefined : BREAKERS[target.breaker];
  const since = target.since && age(now - Date.parse(target.since));
  return (
    <li data-target={target.name}>
      <div class="target-head">
        <Shape tone={toneOf(target)} />
        <span class="strong cut" title={target.name}>
          {target.name}
        </span>
        <span class="target-state" title={outcome?.meaning ?? ""}>
          {outcome ? (since ? words.since(outcome.word, since) : outcome.word) : target.enabled ? words.firstCheck : words.off}
        </span>
      </div>
      <p class="muted cut" title={target.address}>
        {target.kind in KINDS || target.address.includes("://") ? target.address : `${target.kind} ${target.address}`}
      </p>
      {breaker && (
        <p class="target-problem" title={breaker.meaning}>
          {breaker.word}: {breaker.meaning}
        </p>
      )}
      <dl class="target-figures">
        <div>
          <dt>{words.figures.p50}</dt>
          <dd class="figure">{latency(target.p50_ms)}</dd>
        </div>
        <div>
          <dt>{words.figures.p95}</dt>
          <dd class="figure">{latency(target.p95_ms)}</dd>
        </div>
        <div>
          <dt>{words.figures.failed}</dt>
          <dd class="figure">{percent(target.probes === 0 ? undefined : 100 * target.error_share)}</dd>
        </div>
        <div>
          <dt>{words.figures.checked}</dt>
          <dd class="figure">{target.last ? parts.ago(age(now - Date.parse(target.last.at))) : words.notYet}</dd>
        </div>
      </dl>
      {problem !== undefined && <p class="target-problem">{problem}</p>}
    </li>
  );
}
