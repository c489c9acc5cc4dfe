/** Filesystems from their `node_filesystem_*` series: one row per device, the fullest found. */

import type { InstantAnswer } from "./types";

export const FILESYSTEM_SELECTORS = [
  "node_filesystem_size_bytes",
  "node_filesystem_free_bytes",
  "node_filesystem_avail_bytes",
  "node_filesystem_files",
  "node_filesystem_files_free",
  "node_filesystem_readonly",
  "node_filesystem_device_error",
] as const;

export interface Filesystem {
  mountpoint: string;
  device: string;
  type: string;
  /** Other places where the same device is mounted. */
  also: string[];
  size: number | undefined;
  used: number | undefined;
  available: number | undefined;
  /** Shares in 0..=100. */
  usedShare: number | undefined;
  inodeShare: number | undefined;
  readOnly: boolean;
  /** Its statistics could not be read: a hung network mount, mostly. */
  stuck: boolean;
  /** Lives in memory or is a read-only image: being full is its nature. */
  ephemeral: boolean;
}

const EPHEMERAL = /^(tmpfs|ramfs|devtmpfs|squashfs|iso9660|erofs|efivarfs|overlay\.ro)$/;

interface Raw {
  labels: Record<string, string>;
  values: Partial<Record<string, number>>;
}

export function filesystemsOf(answer: InstantAnswer): Filesystem[] {
  const mounts = new Map<string, Raw>();
  for (const series of answer.series) {
    const mountpoint = series.labels["mountpoint"];
    if (mountpoint === undefined || typeof series.value !== "number") continue;
    const raw = mounts.get(mountpoint) ?? { labels: series.labels, values: {} };
    raw.values[series.name] = series.value;
    mounts.set(mountpoint, raw);
  }
  const rows = [...mounts].map(([mountpoint, raw]) => rowOf(mountpoint, raw));
  const usable = rows.filter((row) => row.stuck || (row.size ?? 0) > 0);
  return oncePerDevice(usable).sort(
    (a, b) => Number(a.ephemeral) - Number(b.ephemeral) || a.mountpoint.localeCompare(b.mountpoint),
  );
}

function rowOf(mountpoint: string, { labels, values }: Raw): Filesystem {
  const size = values["node_filesystem_size_bytes"];
  const available = values["node_filesystem_avail_bytes"];
  const files = values["node_filesystem_files"];
  const free = values["node_filesystem_files_free"];
  const unused = values["node_filesystem_free_bytes"];
  const used = size !== undefined && unused !== undefined ? size - unused : undefined;
  // As `df` counts: what is reserved for root is neither used nor to be had.
  const usable = used !== undefined && available !== undefined ? used + available : undefined;
  const type = labels["fstype"] ?? "";
  return {
    mountpoint,
    device: labels["device"] ?? "",
    type,
    also: [],
    size,
    used,
    available,
    usedShare: used !== undefined && usable ? (100 * used) / usable : undefined,
    inodeShare: files && free !== undefined ? (100 * (files - free)) / files : undefined,
    readOnly: values["node_filesystem_readonly"] === 1,
    stuck: values["node_filesystem_device_error"] === 1,
    ephemeral: EPHEMERAL.test(type),
  };
}

/** A device that is mounted in several places counts once, at its shortest path. */
function oncePerDevice(rows: Filesystem[]): Filesystem[] {
  const kept = new Map<string, Filesystem>();
  for (const row of rows.sort((a, b) => a.mountpoint.length - b.mountpoint.length)) {
    const shared = row.ephemeral || row.device === "" || row.device === "none";
    const key = shared ? row.mountpoint : `${row.device} ${row.type}`;
    const first = kept.get(key);
    if (first) first.also.push(row.mountpoint);
    else kept.set(key, row);
  }
  return [...kept.values()];
}

export function fullest(rows: readonly Filesystem[]): Filesystem | undefined {
  const lasting = rows.filter((row) => !row.ephemeral && row.usedShare !== undefined);
  return lasting.reduce<Filesystem | undefined>(
    (worst, row) => ((worst?.usedShare ?? -1) >= (row.usedShare ?? 0) ? worst : row),
    undefined,
  );
}
