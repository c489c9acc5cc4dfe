/** The host and its storage in a few figures. */

import type { ComponentChildren } from "preact";

import { recent, summary, system } from "../../data/live";
import { fullest, type Filesystem } from "../../data/filesystems";
import type { Resource } from "../../data/poll";
import type { HostSummary } from "../../data/types";
import { Meter, toneOfShare } from "../../parts/meter";
import { ProblemCard } from "../../parts/problem";
import { Pill, type Tone } from "../../parts/status";
import { href } from "../../router";
import { overview as words } from "../../text";
import { bytes, celsius, duration, NOTHING, percent, plain } from "../../text/units";

export function Tile(props: {
  title: string;
  tone: Tone;
  word: string;
  link?: string;
  wide?: boolean;
  children: ComponentChildren;
}) {
  return (
    <section class={props.wide ? "card tile wide" : "card tile"} aria-label={props.title} data-tile={props.title}>
      <header>
        <h2>{props.link === undefined ? props.title : <a href={href(props.link)}>{props.title}</a>}</h2>
        <Pill tone={props.tone}>{props.word}</Pill>
      </header>
      {props.children}
    </section>
  );
}

export function Row(props: { label: string; value: string; detail?: string; share?: number | null; tone?: Tone; id?: string }) {
  return (
    <div class="row">
      <dt>{props.label}</dt>
      <dd>
        <span class="figure" data-value={props.id}>
          {props.value}
        </span>
        {props.detail !== undefined && <span class="muted"> {props.detail}</span>}
      </dd>
      {props.share !== undefined && (
        <dd class="row-meter">
          <Meter share={props.share} tone={props.tone ?? "ok"} />
        </dd>
      )}
    </div>
  );
}

const WORDS: Record<Tone, string> = words.tones;
const rows = words.rows;
const RANKS: readonly Tone[] = ["bad", "warn", "ok", "off"];

export function worst(tones: readonly Tone[]): Tone {
  return RANKS.find((tone) => tones.includes(tone)) ?? "off";
}

/** No share reaches it: a processor that works all the time is busy, not broken. */
const BUSY_IS_NOT_BAD = Number.POSITIVE_INFINITY;

/** Mean of a figure over the last half minute. */
function steady(figure: (one: HostSummary) => number | null | undefined): number | undefined {
  const known = recent.value.map(figure).filter((value) => value !== null && value !== undefined);
  return known.length === 0 ? undefined : known.reduce((total, value) => total + value, 0) / known.length;
}

/** The kind of waiting that is worst, and its share of time. */
function worstPressure(): { name: string; share: number } | undefined {
  const known = [
    { name: words.pressures.cpu, share: steady((one) => one.pressure_cpu_percent) },
    { name: words.pressures.io, share: steady((one) => one.pressure_io_percent) },
    { name: words.pressures.memory, share: steady((one) => one.pressure_memory_percent) },
  ].flatMap(({ name, share }) => (share === undefined ? [] : [{ name, share }]));
  return known.sort((a, b) => b.share - a.share)[0];
}

export function HostTile() {
  const now = summary.value;
  const processors = system.value?.host.cpus;
  const pressure = worstPressure();
  const cpu = toneOfShare(steady((one) => one.cpu_usage_percent), 90, BUSY_IS_NOT_BAD);
  const memory = toneOfShare(now?.memory_usage_percent, 85, 95);
  const loadShare = now?.load1 != null && processors ? (100 * now.load1) / processors : undefined;
  const load = toneOfShare(loadShare, 150, 400);
  const waiting = toneOfShare(pressure?.share, 40, pressure?.name === words.pressures.cpu ? BUSY_IS_NOT_BAD : 70);
  const tone = now ? worst([cpu, memory, load, waiting]) : "off";
  const used = now?.memory_used_bytes == null ? undefined : words.of(bytes(now.memory_used_bytes), bytes(now.memory_total_bytes));
  return (
    <Tile title={words.tiles.host} tone={tone} word={WORDS[tone]} link="/host">
      <dl class="rows">
        <Row id="cpu" label={rows.cpu} value={percent(now?.cpu_usage_percent)} share={now?.cpu_usage_percent ?? 0} tone={cpu} />
        <Row
          id="memory"
          label={rows.memory}
          value={percent(now?.memory_usage_percent)}
          {...(used === undefined ? {} : { detail: used })}
          share={now?.memory_usage_percent ?? 0}
          tone={memory}
        />
        <Row
          id="load"
          label={rows.load}
          value={plain(now?.load1)}
          detail={now ? `${plain(now.load5)}, ${plain(now.load15)}` : ""}
          share={loadShare ?? 0}
          tone={load}
        />
        {pressure && (
          <Row id="pressure" label={rows.pressure} value={percent(pressure.share)} detail={pressure.name} share={pressure.share} tone={waiting} />
        )}
        {now?.temperature_celsius_max != null && (
          <Row id="temperature" label={rows.hottest} value={celsius(now.temperature_celsius_max)} />
        )}
        {now?.uptime_seconds != null && <Row id="uptime" label={rows.uptime} value={duration(now.uptime_seconds * 1000)} />}
      </dl>
    </Tile>
  );
}

export function StorageTile({ filesystems }: { filesystems: Resource<Filesystem[]> }) {
  const now = summary.value;
  const list = filesystems.value.value;
  const full = list && fullest(list);
  const stuck = list?.filter((one) => one.stuck) ?? [];
  const readOnly = list?.filter((one) => one.readOnly && !one.ephemeral) ?? [];
  const tone = stuck.length > 0 ? "bad" : list ? toneOfShare(full?.usedShare, 85, 95) : "off";
  const word = stuck.length > 0 ? words.stuck : words.storageTones[tone];
  if (filesystems.error.value && !list) {
    return (
      <Tile title={words.tiles.storage} tone="off" word={words.unknown}>
        <ProblemCard error={filesystems.error.value} retry={filesystems.retry} what={words.notLoaded} />
      </Tile>
    );
  }
  return (
    <Tile title={words.tiles.storage} tone={tone} word={word} link="/host">
      <dl class="rows">
        <Row
          label={rows.fullest}
          value={percent(full?.usedShare)}
          {...(full ? { detail: full.mountpoint } : {})}
          share={full?.usedShare ?? 0}
          tone={toneOfShare(full?.usedShare, 85, 95)}
        />
        <Row
          label={rows.all}
          value={bytes(now?.disk_used_bytes)}
          detail={now?.disk_total_bytes == null ? "" : words.ofAll(bytes(now.disk_total_bytes))}
          share={now?.disk_usage_percent ?? 0}
          tone={toneOfShare(now?.disk_usage_percent, 85, 95)}
        />
        <Row
          label={rows.inodes}
          value={percent(full?.inodeShare)}
          {...(full ? { detail: words.on(full.mountpoint) } : {})}
          share={full?.inodeShare ?? 0}
          tone={toneOfShare(full?.inodeShare, 85, 95)}
        />
        <Row
          label={rows.mounts}
          value={list ? String(list.filter((one) => !one.ephemeral).length) : NOTHING}
          detail={[
            stuck.length > 0 ? words.counted(stuck.length, words.stuck) : "",
            readOnly.length > 0 ? words.counted(readOnly.length, words.readOnly) : "",
          ]
            .filter((part) => part !== "")
            .join(", ")}
        />
      </dl>
    </Tile>
  );
}
