/** The recent course of cpu, memory, network and disk: figure now, line before. */

import { useComputed } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { isRealDisk, isRealLink } from "../../data/devices";
import { startFeed } from "../../data/feed";
import { cpuBusy, Index } from "../../data/host_plots";
import { summary } from "../../data/live";
import { gauge, sum, zip, type Grid, type Value } from "../../data/series";
import { interval } from "../../data/settings";
import { ProblemCard } from "../../parts/problem";
import { Sparkline, type Spark } from "../../parts/sparkline";
import { href, range } from "../../router";
import { wordsOf } from "../../shell/range_picker";
import { overview as words } from "../../text";
import { bytesPerSecond, percent } from "../../text/units";

const SELECTORS = [
  "node_cpu_seconds_total",
  "node_memory_MemTotal_bytes",
  "node_memory_MemAvailable_bytes",
  "node_network_receive_bytes_total",
  "node_network_transmit_bytes_total",
  "node_disk_read_bytes_total",
  "node_disk_written_bytes_total",
];
const POINTS = 180;
const names = words.trendWords;

interface Trend {
  id: string;
  title: string;
  lines: Spark[];
  ceiling?: number;
  reach?: number;
}

/** Sum of the rates of a counter over the devices that count. */
function total(index: Index, name: string, counts: (device: string) => boolean): Value[] {
  const columns = index.all(name).flatMap((series) => {
    const values = counts(series.labels["device"] ?? "") ? index.rate(series) : undefined;
    return values ? [values] : [];
  });
  return sum(columns, index.length);
}

function trendsOf(grid: Grid): Trend[] {
  const index = new Index(grid);
  const trends: Trend[] = [];
  const busy = cpuBusy(index);
  if (busy) trends.push({ id: "cpu", title: words.trend.cpu, lines: [{ values: busy, colour: 1 }], ceiling: 100 });
  const all = index.first("node_memory_MemTotal_bytes");
  const available = index.first("node_memory_MemAvailable_bytes");
  if (all && available) {
    const used = zip([all.values, available.values], (whole, left) => (100 * (whole - left)) / whole);
    trends.push({ id: "memory", title: words.trend.memory, lines: [{ values: gauge(used), colour: 1 }], ceiling: 100 });
  }
  const pair = (id: string, title: string, first: Value[], second: Value[], reach: number) => {
    if (![...first, ...second].some((value) => value !== null)) return;
    trends.push({ id, title, reach, lines: [{ values: first, colour: 1 }, { values: second, colour: 3 }] });
  };
  const link = (way: string) => total(index, `node_network_${way}_bytes_total`, isRealLink);
  const disk = (way: string) => total(index, `node_disk_${way}_bytes_total`, isRealDisk);
  pair("network", words.trend.network, link("receive"), link("transmit"), 16 * 1024);
  pair("disk", words.trend.disk, disk("read"), disk("written"), 64 * 1024);
  return trends;
}

export function Trends() {
  const feed = useMemo(() => startFeed(SELECTORS, { range, interval, points: POINTS }), []);
  useEffect(() => feed.stop, []);
  const trends = useComputed(() => feed.grid.value && trendsOf(feed.grid.value));
  const error = feed.error.value;
  if (error && !trends.value) return <ProblemCard error={error} retry={feed.retry} what={words.notTrends} />;
  return (
    <section aria-labelledby="trends-title">
      <h2 id="trends-title">
        {words.trends} <span class="muted">{wordsOf(range.value)}</span>
      </h2>
      <div class="trends">
        {trends.value?.map((trend) => (
          <a key={trend.id} class="card trend" href={`${href("/host")}`} data-trend={trend.id}>
            <h3>{trend.title}</h3>
            <Figures id={trend.id} />
            <Sparkline
              lines={trend.lines}
              {...(trend.ceiling === undefined ? {} : { ceiling: trend.ceiling })}
              {...(trend.reach === undefined ? {} : { reach: trend.reach })}
            />
          </a>
        )) ?? [0, 1, 2, 3].map((i) => <div key={i} class="card trend skeleton" aria-hidden="true" />)}
      </div>
    </section>
  );
}

/** The figures of the last tick: they move each second, the line behind them more slowly. */
function Figures({ id }: { id: string }) {
  const now = summary.value;
  const cells: [string, string][] =
    id === "cpu"
      ? [[names.busy, percent(now?.cpu_usage_percent)]]
      : id === "memory"
        ? [[names.used, percent(now?.memory_usage_percent)]]
        : id === "network"
          ? [
              [names.in, bytesPerSecond(now?.network_receive_bytes_per_second)],
              [names.out, bytesPerSecond(now?.network_transmit_bytes_per_second)],
            ]
          : [
              [names.read, bytesPerSecond(now?.disk_read_bytes_per_second)],
              [names.written, bytesPerSecond(now?.disk_written_bytes_per_second)],
            ];
  return (
    <dl class="trend-figures">
      {cells.map(([word, figure], i) => (
        <div key={word}>
          <dt>
            <span class={`swatch c${i === 0 ? 1 : 3}`} aria-hidden="true" />
            {word}
          </dt>
          <dd class="figure">{figure}</dd>
        </div>
      ))}
    </dl>
  );
}
