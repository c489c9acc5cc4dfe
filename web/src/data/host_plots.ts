/**
 * The charts of the host page, each made from the series of one grid.
 *
 * A plot whose series the host does not have is not made: absent is absent, not
 * zero. Names and units are those of node_exporter.
 */

import { celsius, bytes, bytesPerSecond, count, percent, perSecond, plain } from "../text/units";
import { plots as words } from "../text";
import { colourAt, type Line, type Plot } from "../parts/plot";
import { activityBy, busiest, levelBy, type Devices } from "./devices";
import { gauge, map, rate, sum, zip, type Grid, type Series, type Value } from "./series";

export interface Section {
  id: string;
  title: string;
  plots: Plot[];
}

export const HOST_SELECTORS: readonly string[] = [
  "node_cpu_seconds_total",
  "node_load1",
  "node_load5",
  "node_load15",
  "node_memory_MemTotal_bytes",
  "node_memory_MemFree_bytes",
  "node_memory_Buffers_bytes",
  "node_memory_Cached_bytes",
  "node_memory_SReclaimable_bytes",
  "node_memory_SwapTotal_bytes",
  "node_memory_SwapFree_bytes",
  "node_pressure_cpu_waiting_seconds_total",
  "node_pressure_io_waiting_seconds_total",
  "node_pressure_io_stalled_seconds_total",
  "node_pressure_memory_waiting_seconds_total",
  "node_pressure_memory_stalled_seconds_total",
  "node_disk_read_bytes_total",
  "node_disk_written_bytes_total",
  "node_disk_reads_completed_total",
  "node_disk_writes_completed_total",
  "node_disk_io_time_seconds_total",
  "node_network_receive_bytes_total",
  "node_network_transmit_bytes_total",
  "node_network_receive_errs_total",
  "node_network_transmit_errs_total",
  "node_network_receive_drop_total",
  "node_network_transmit_drop_total",
  "node_hwmon_temp_celsius",
  "node_thermal_zone_temp",
  "node_sockstat_TCP_inuse",
  "node_sockstat_TCP_tw",
  "node_sockstat_UDP_inuse",
  "node_netstat_Tcp_CurrEstab",
  "node_netstat_Tcp_RetransSegs",
  "node_netstat_Tcp_ActiveOpens",
  "node_netstat_Tcp_PassiveOpens",
  "node_procs_running",
  "node_procs_blocked",
  "node_forks_total",
  "node_context_switches_total",
  "node_filefd_allocated",
];

/** Series by metric name. */
export class Index {
  private readonly byName = new Map<string, Series[]>();

  constructor(readonly grid: Grid) {
    for (const series of grid.series.values()) {
      const list = this.byName.get(series.name);
      if (list) list.push(series);
      else this.byName.set(series.name, [series]);
    }
  }

  all(name: string): Series[] {
    return this.byName.get(name) ?? [];
  }

  first(name: string): Series | undefined {
    return this.byName.get(name)?.[0];
  }

  rate(series: Series | undefined): Value[] | undefined {
    return series && rate(series.values, this.grid.step);
  }

  device(name: string, device: string): Series | undefined {
    return this.all(name).find((series) => series.labels["device"] === device);
  }

  get length(): number {
    return Math.max(0, this.grid.length - 1);
  }
}

/** A gauge as it is, with its band. */
function gaugeLine(label: string, series: Series | undefined, colour: Line["colour"]): Line[] {
  if (!series) return [];
  const line: Line = { label, values: gauge(series.values), colour };
  if (series.min && series.max) {
    line.min = gauge(series.min);
    line.max = gauge(series.max);
  }
  return [line];
}

function rateLine(index: Index, label: string, series: Series | undefined, colour: Line["colour"], factor = 1): Line[] {
  const values = index.rate(series);
  return values ? [{ label, values: factor === 1 ? values : map(values, (value) => value * factor), colour }] : [];
}

const CPU_MODES: readonly { label: string; modes: readonly string[]; colour: Line["colour"] }[] = [
  { label: words.systemTitle, modes: ["system"], colour: 3 },
  { label: words.user, modes: ["user"], colour: 1 },
  { label: words.nice, modes: ["nice"], colour: 6 },
  { label: words.iOWait, modes: ["iowait"], colour: 4 },
  { label: words.interrupts, modes: ["irq", "softirq"], colour: 5 },
  { label: words.stolen, modes: ["steal"], colour: 7 },
];
const CPU_ALL = ["system", "user", "nice", "iowait", "irq", "softirq", "steal", "idle"];

/** CPU rates per mode over all processors, as shares of all time: hot-plug and late ticks cancel out. */
export function cpuShares(index: Index): Map<string, Value[]> {
  const byMode = new Map<string, Value[][]>();
  for (const series of index.all("node_cpu_seconds_total")) {
    const mode = series.labels["mode"] ?? "";
    const values = index.rate(series);
    if (!values || !CPU_ALL.includes(mode)) continue;
    byMode.set(mode, [...(byMode.get(mode) ?? []), values]);
  }
  const sums = new Map([...byMode].map(([mode, columns]) => [mode, sum(columns, index.length)]));
  const total = sum([...sums.values()], index.length);
  return new Map(
    [...sums].map(([mode, values]) => [mode, zip([values, total], (part, whole) => (whole > 0 ? (100 * part) / whole : 0))]),
  );
}

export function cpuBusy(index: Index): Value[] | undefined {
  const shares = cpuShares(index);
  const idle = shares.get("idle");
  if (!idle) return undefined;
  const waiting = shares.get("iowait") ?? map(idle, () => 0);
  return zip([idle, waiting], (a, b) => Math.max(0, 100 - a - b));
}

function cpuPlot(index: Index): Plot[] {
  const shares = cpuShares(index);
  const lines: Line[] = [];
  for (const { label, modes, colour } of CPU_MODES) {
    const columns = modes.flatMap((mode) => shares.get(mode) ?? []).length ? modes.map((mode) => shares.get(mode) ?? []) : [];
    if (columns.length === 0) continue;
    const values = sum(columns, index.length);
    const essential = label === words.systemTitle || label === words.user || label === words.iOWait;
    if (essential || values.some((value) => value !== null && value > 0)) lines.push({ label, values, colour });
  }
  if (lines.length === 0) return [];
  return [{ id: "cpu", title: words.cpuByMode, format: percent, stacked: true, ceiling: 100, lines }];
}

function loadPlot(index: Index): Plot[] {
  const lines = [
    ...gaugeLine(words.m1Min, index.first("node_load1"), 1),
    ...gaugeLine(words.m5Min, index.first("node_load5"), 2),
    ...gaugeLine(words.m15Min, index.first("node_load15"), 7),
  ];
  return lines.length === 0 ? [] : [{ id: "load", title: words.load, format: plain, reach: 1, lines }];
}

/** Used memory: what is neither free nor given back at once. */
export function memoryUsed(index: Index): Value[] | undefined {
  const values = (name: string) => index.first(`node_memory_${name}_bytes`)?.values;
  const total = values("MemTotal");
  const free = values("MemFree");
  if (!total || !free) return undefined;
  const none = map(free, () => 0);
  const parts = [total, free, values("Buffers") ?? none, values("Cached") ?? none, values("SReclaimable") ?? none];
  return zip(parts, (all, ...other) => Math.max(0, other.reduce((left, part) => left - part, all)));
}

function memoryPlot(index: Index): Plot[] {
  const values = (name: string) => index.first(`node_memory_${name}_bytes`)?.values;
  const used = memoryUsed(index);
  if (!used) return [];
  const cached = values("Cached");
  const reclaimable = values("SReclaimable");
  const cache = cached && reclaimable ? zip([cached, reclaimable], (a, b) => a + b) : cached;
  const lines: Line[] = [{ label: words.used, values: gauge(used), colour: 1 }];
  const buffers = values("Buffers");
  if (buffers) lines.push({ label: words.buffers, values: gauge(buffers), colour: 5 });
  if (cache) lines.push({ label: words.cache, values: gauge(cache), colour: 2 });
  const free = values("MemFree");
  if (free) lines.push({ label: words.free, values: gauge(free), colour: 8 });
  const swapTotal = values("SwapTotal");
  const swapFree = values("SwapFree");
  if (swapTotal && swapFree && swapTotal.some((value) => (value ?? 0) > 0)) {
    const swap = zip([swapTotal, swapFree], (all, left) => all - left);
    lines.push({ label: words.swapUsed, values: gauge(swap), colour: 4, dashed: true, overlay: true });
  }
  const ceiling = Math.max(0, ...(values("MemTotal") ?? []).map((value) => value ?? 0));
  return [{ id: "memory", title: words.memory, format: bytes, binary: true, stacked: true, ceiling, lines }];
}

function pressurePlot(index: Index): Plot[] {
  const name = (what: string) => index.first(`node_pressure_${what}_seconds_total`);
  const lines = [
    ...rateLine(index, words.cpuSome, name("cpu_waiting"), 1, 100),
    ...rateLine(index, words.iOSome, name("io_waiting"), 3, 100),
    ...rateLine(index, words.iOAll, name("io_stalled"), 4, 100),
    ...rateLine(index, words.memorySome, name("memory_waiting"), 2, 100),
    ...rateLine(index, words.memoryAll, name("memory_stalled"), 5, 100),
  ];
  if (lines.length === 0) return [];
  const note = words.shareOfTimeInWhichSomeOrAllTasksWaited;
  return [{ id: "pressure", title: words.pressure, format: percent, reach: 5, lines, note }];
}

const LEFT_OUT = (devices: Devices) => (devices.left > 0 ? words.lessBusy(devices.left) : undefined);

/** Two counters per device, the second drawn below zero. */
function pairPlot(
  index: Index,
  devices: Devices,
  plot: Omit<Plot, "lines">,
  above: { name: string; word: string },
  below: { name: string; word: string },
): Plot[] {
  const lines = devices.names.flatMap((device, i) => {
    const up = rateLine(index, `${device} ${above.word}`, index.device(above.name, device), colourAt(i * 2));
    const down = rateLine(index, `${device} ${below.word}`, index.device(below.name, device), colourAt(i * 2 + 1));
    return [...up, ...down.map((line) => ({ ...line, mirrored: true }))];
  });
  if (lines.length === 0) return [];
  const note = LEFT_OUT(devices);
  return [{ ...plot, lines, ...(note === undefined ? {} : { note }) }];
}

function diskPlots(index: Index): Plot[] {
  const counters = [...index.all("node_disk_read_bytes_total"), ...index.all("node_disk_written_bytes_total")];
  const devices = busiest(activityBy("device", counters));
  const busy = devices.names.flatMap((device, i) =>
    rateLine(index, device, index.device("node_disk_io_time_seconds_total", device), colourAt(i * 2), 100),
  );
  const note = LEFT_OUT(devices);
  const busyPlot: Plot = { id: "disk-busy", title: words.busyShare, format: percent, reach: 10, lines: busy, ...(note ? { note } : {}) };
  return [
    ...pairPlot(
      index,
      devices,
      { id: "disk-bytes", title: words.throughput, format: bytesPerSecond, binary: true, reach: 64 * 1024 },
      { name: "node_disk_read_bytes_total", word: words.read },
      { name: "node_disk_written_bytes_total", word: words.written },
    ),
    ...pairPlot(
      index,
      devices,
      { id: "disk-operations", title: words.operations, format: perSecond, reach: 5 },
      { name: "node_disk_reads_completed_total", word: words.reads },
      { name: "node_disk_writes_completed_total", word: words.writes },
    ),
    ...(busy.length > 0 ? [busyPlot] : []),
  ];
}

function networkPlots(index: Index): Plot[] {
  const counters = [...index.all("node_network_receive_bytes_total"), ...index.all("node_network_transmit_bytes_total")];
  const devices = busiest(activityBy("device", counters));
  const problems = devices.names.flatMap((device, i) => {
    const names = ["receive_errs", "transmit_errs", "receive_drop", "transmit_drop"];
    const columns = names.flatMap((name) => {
      const values = index.rate(index.device(`node_network_${name}_total`, device));
      return values ? [values] : [];
    });
    return columns.length === 0 ? [] : [{ label: device, values: sum(columns, index.length), colour: colourAt(i * 2) }];
  });
  const faults: Plot = { id: "network-errors", title: words.errorsAndDrops, format: perSecond, reach: 1, lines: problems };
  return [
    ...pairPlot(
      index,
      devices,
      { id: "network-bytes", title: words.traffic, format: bytesPerSecond, binary: true, reach: 16 * 1024 },
      { name: "node_network_receive_bytes_total", word: words.in },
      { name: "node_network_transmit_bytes_total", word: words.out },
    ),
    ...(problems.length > 0 ? [faults] : []),
  ];
}

function temperaturePlot(index: Index): Plot[] {
  const sensors = [...index.all("node_hwmon_temp_celsius"), ...index.all("node_thermal_zone_temp")];
  const nameOf = ({ labels }: Series) =>
    labels["chip"] === undefined
      ? `${labels["type"] ?? "zone"} ${labels["zone"] ?? ""}`.trim()
      : `${labels["chip"]} ${labels["sensor"] ?? ""}`.trim();
  const hottest = busiest(levelBy(nameOf, sensors), 8);
  const lines = hottest.names.flatMap((name, i) =>
    gaugeLine(name, sensors.find((series) => nameOf(series) === name), colourAt(i)),
  );
  const note = hottest.left > 0 ? words.cooler(hottest.left) : undefined;
  if (lines.length === 0) return [];
  return [{ id: "temperature", title: words.temperatures, format: celsius, reach: 60, lines, ...(note ? { note } : {}) }];
}

function socketPlots(index: Index): Plot[] {
  const open = [
    ...gaugeLine(words.tcpInUse, index.first("node_sockstat_TCP_inuse"), 1),
    ...gaugeLine(words.tcpEstablished, index.first("node_netstat_Tcp_CurrEstab"), 2),
    ...gaugeLine(words.tcpTimeWait, index.first("node_sockstat_TCP_tw"), 3),
    ...gaugeLine(words.udpInUse, index.first("node_sockstat_UDP_inuse"), 5),
  ];
  const activity = [
    ...rateLine(index, words.opened, index.first("node_netstat_Tcp_ActiveOpens"), 1),
    ...rateLine(index, words.accepted, index.first("node_netstat_Tcp_PassiveOpens"), 2),
    ...rateLine(index, words.segmentsSentAgain, index.first("node_netstat_Tcp_RetransSegs"), 4),
  ];
  const plots: Plot[] = [];
  if (open.length > 0) plots.push({ id: "sockets", title: words.sockets, format: count, reach: 5, lines: open });
  if (activity.length > 0) plots.push({ id: "tcp", title: words.tcp, format: perSecond, reach: 2, lines: activity });
  return plots;
}

function processPlots(index: Index): Plot[] {
  const states = [
    ...gaugeLine(words.running, index.first("node_procs_running"), 1),
    ...gaugeLine(words.blocked, index.first("node_procs_blocked"), 4),
  ];
  const forks = rateLine(index, words.forksTitle, index.first("node_forks_total"), 2);
  const switches = rateLine(index, words.contextSwitchesTitle, index.first("node_context_switches_total"), 1);
  const files = gaugeLine(words.open, index.first("node_filefd_allocated"), 1);
  const plots: Plot[] = [];
  if (states.length > 0) plots.push({ id: "processes", title: words.processes, format: count, reach: 2, lines: states });
  if (forks.length > 0) plots.push({ id: "forks", title: words.forks, format: perSecond, reach: 2, lines: forks });
  if (switches.length > 0) {
    plots.push({ id: "switches", title: words.contextSwitches, format: perSecond, reach: 100, lines: switches });
  }
  if (files.length > 0) plots.push({ id: "files", title: words.openFiles, format: count, reach: 100, lines: files });
  return plots;
}

export function hostSections(grid: Grid): Section[] {
  const index = new Index(grid);
  const sections: Section[] = [
    { id: "compute", title: words.processorAndMemory, plots: [cpuPlot, memoryPlot, loadPlot, pressurePlot].flatMap((make) => make(index)) },
    { id: "disks", title: words.disks, plots: diskPlots(index) },
    { id: "network", title: words.network, plots: [...networkPlots(index), ...socketPlots(index)] },
    { id: "temperatures", title: words.temperatures, plots: temperaturePlot(index) },
    { id: "system", title: words.system, plots: processPlots(index) },
  ];
  return sections.filter((section) => section.plots.length > 0);
}
