/** What the host stores on; each part is shown only where the host has it. */

import type { ComponentChildren } from "preact";

import { loadArrays, loadDisks, type Array as RaidArray, type Disk } from "../../data/disks";
import type { Filesystem } from "../../data/filesystems";
import { hostSections } from "../../data/host_plots";
import { usePolled } from "../../data/poll";
import { gauge, zip, type Grid } from "../../data/series";
import { interval } from "../../data/settings";
import { Loaded } from "../../parts/loaded";
import { Meter, toneOfShare } from "../../parts/meter";
import { colourAt, type Line, type Plot } from "../../parts/plot";
import { Pill } from "../../parts/status";
import { Table, type Column } from "../../parts/table";
import { TimedCharts } from "../../parts/timed_charts";
import { host, storage as words } from "../../text";
import { bytes, bytesPerSecond, celsius, latency, NOTHING, percent, perSecond } from "../../text/units";
import { Filesystems, loadFilesystems } from "../host/filesystems";

const NETWORK = /^(nfs\d?|cifs|smb\d?|smbfs|ceph|glusterfs|fuse\.(sshfs|glusterfs|rclone|s3fs)|afs|9p)$/;
const SELECTORS = [
  "node_filesystem_size_bytes",
  "node_filesystem_avail_bytes",
  "node_filesystem_free_bytes",
  "node_disk_read_bytes_total",
  "node_disk_written_bytes_total",
  "node_disk_reads_completed_total",
  "node_disk_writes_completed_total",
  "node_disk_io_time_seconds_total",
];
/** Lives in memory, or is an image that is full by its nature. */
const PASSING = /^(tmpfs|ramfs|devtmpfs|squashfs|iso9660|erofs|efivarfs)$/;
const LINES = 8;

export function StoragePage() {
  const disks = usePolled(loadDisks, 10_000);
  const arrays = usePolled(loadArrays, 15_000);
  const mounts = usePolled(loadFilesystems, 15_000);
  const network = (mounts.value.value ?? []).filter((one) => NETWORK.test(one.type));
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <p class="lead muted">{words.lead}</p>
      </div>
      <section aria-label={words.filesystems}>
        <h2 class="visually-hidden">{words.filesystems}</h2>
        <Filesystems />
      </section>
      <Part title={words.network} id="network" there={network.length > 0}>
        <Table label={words.network} columns={MOUNTS} rows={network} keyOf={(one) => one.mountpoint} empty={null} />
      </Part>
      <Part title={words.arrays} id="arrays" there={(arrays.value.value?.length ?? 0) > 0}>
        <Table label={words.arrays} columns={ARRAYS} rows={arrays.value.value ?? []} keyOf={(one) => one.device} empty={null} />
      </Part>
      <Loaded resource={disks} what={words.disks}>
        {(found) => (
          <Part title={words.disks} id="disks" there={found.length > 0}>
            <Table label={words.disks} columns={columnsFor(found)} rows={found} keyOf={(one) => one.device} empty={null} />
          </Part>
        )}
      </Loaded>
      <section aria-labelledby="over-time" class="stack">
        <h2 id="over-time">{words.use}</h2>
        <TimedCharts selectors={SELECTORS} interval={interval} plots={plotsOf} empty={words.useNone} />
      </section>
    </div>
  );
}

function Part({ title, id, there, children }: { title: string; id: string; there: boolean; children: ComponentChildren }) {
  if (!there) return null;
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}

/** How full what lasts is, as `df` counts, and what its disks do. */
export function plotsOf(grid: Grid): Plot[] {
  const named = (name: string) => [...grid.series.values()].filter((one) => one.name === `node_filesystem_${name}_bytes`);
  const seen = new Set<string>();
  const lines: Line[] = [];
  const sizes = named("size").sort((a, b) => (a.labels["mountpoint"] ?? "").length - (b.labels["mountpoint"] ?? "").length);
  for (const size of sizes) {
    const { mountpoint = "", device = "", fstype = "" } = size.labels;
    const same = (name: string) => named(name).find((one) => one.labels["mountpoint"] === mountpoint);
    const [free, available] = [same("free"), same("avail")];
    if (!free || !available || PASSING.test(fstype) || seen.has(device)) continue;
    seen.add(device);
    const share = (all: number, unused: number, usable: number) => {
      const used = all - unused;
      return used + usable > 0 ? (100 * used) / (used + usable) : 0;
    };
    lines.push({ label: mountpoint, values: zip([gauge(size.values), gauge(free.values), gauge(available.values)], share), colour: colourAt(lines.length) });
  }
  const use: Plot[] = lines.length === 0 ? [] : [{ id: "use", title: words.filesystems, format: percent, ceiling: 100, lines: lines.slice(0, LINES) }];
  return [...use, ...(hostSections(grid).find((one) => one.id === "disks")?.plots ?? [])];
}

const MOUNTS: readonly Column<Filesystem>[] = [
  { id: "mounted", title: words.mountColumns.mounted, head: true, wide: true, cell: (one) => <strong>{one.mountpoint}</strong> },
  { id: "from", title: words.mountColumns.from, cell: (one) => <span class="muted">{`${one.device} ${one.type}`}</span> },
  { id: "state", title: words.mountColumns.state, cell: (one) => <Pill tone={one.stuck ? "bad" : "ok"}>{one.stuck ? words.hangs : words.answers}</Pill> },
  { id: "used", title: words.mountColumns.used, cell: (one) => host.freeOf(bytes(one.available), bytes(one.size)) },
];

const ARRAYS: readonly Column<RaidArray>[] = [
  { id: "name", title: words.arrayColumns.name, head: true, cell: (one) => <strong>{one.device}</strong> },
  {
    id: "state",
    title: words.arrayColumns.state,
    cell: (one) => {
      const short = one.degraded || one.failed > 0;
      return <Pill tone={short ? "bad" : one.state === "active" ? "ok" : "warn"}>{short ? words.degraded : one.state}</Pill>;
    },
  },
  { id: "disks", title: words.arrayColumns.disks, wide: true, cell: (one) => words.arrayDisks(one.active, one.wanted, one.failed, one.spare) },
  { id: "synced", title: words.arrayColumns.synced, number: true, cell: (one) => percent(one.synced) },
];

const titles = words.diskColumns;

/** Health and temperature only where something tells them. */
function columnsFor(disks: readonly Disk[]): Column<Disk>[] {
  const columns: Column<Disk>[] = [
    {
      id: "name",
      title: titles.name,
      head: true,
      sort: (one) => one.device,
      cell: (one) => (
        <span>
          <strong>{one.device}</strong>
          {one.model !== "" && <span class="second">{one.model}</span>}
        </span>
      ),
    },
    {
      id: "busy",
      title: titles.busy,
      sort: (one) => one.figures.busy,
      cell: ({ figures: { busy } }) => (
        <span class="metered">
          <Meter share={busy} tone={toneOfShare(busy, 80, 95)} />
          <span class="figure">{percent(busy)}</span>
        </span>
      ),
    },
    { id: "read", title: titles.read, number: true, sort: (one) => one.figures.read, cell: (one) => bytesPerSecond(one.figures.read) },
    { id: "write", title: titles.write, number: true, sort: (one) => one.figures.written, cell: (one) => bytesPerSecond(one.figures.written) },
    { id: "iops", title: titles.iops, number: true, sort: (one) => one.figures.operations, cell: (one) => perSecond(one.figures.operations) },
    { id: "wait", title: titles.wait, number: true, sort: (one) => one.figures.wait, cell: (one) => latency(one.figures.wait) },
  ];
  if (disks.some((one) => one.figures.healthy !== undefined)) {
    columns.push({
      id: "health",
      title: titles.health,
      sort: (one) => one.figures.healthy,
      cell: ({ figures: { healthy } }) =>
        healthy === undefined ? NOTHING : <Pill tone={healthy === 1 ? "ok" : "bad"}>{healthy === 1 ? words.passed : words.failing}</Pill>,
    });
  }
  if (disks.some((one) => one.figures.temperature !== undefined)) {
    columns.push({ id: "temperature", title: titles.temperature, number: true, sort: (one) => one.figures.temperature, cell: (one) => celsius(one.figures.temperature) });
  }
  return columns;
}
