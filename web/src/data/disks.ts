/** Disks of the host from their series, as the names of the exporters have them; its arrays as the agent sees them. */

import { call, type Answer } from "./api";
import { isRealDisk } from "./devices";
import { samplesOf, type Sample } from "./promql";

const WINDOW = "[1m]";
const rate = (name: string) => `rate(node_disk_${name}${WINDOW})`;
const DONE = `(${rate("reads_completed_total")} + ${rate("writes_completed_total")})`;

/** What is asked of the disks; each answers one value per device. */
const EXPRESSIONS = {
  info: "node_disk_info",
  read: rate("read_bytes_total"),
  written: rate("written_bytes_total"),
  operations: DONE,
  busy: `100 * ${rate("io_time_seconds_total")}`,
  wait: `1000 * (${rate("read_time_seconds_total")} + ${rate("write_time_seconds_total")}) / ${DONE}`,
  healthy: "smartctl_device_smart_status",
  temperature: 'smartctl_device_temperature{temperature_type="current"}',
} as const;

export type Figure = keyof typeof EXPRESSIONS;
export type Answers = Readonly<Record<Figure, readonly Sample[]>>;

export interface Disk {
  device: string;
  model: string;
  /** What is not known is left out. */
  figures: Partial<Record<Figure, number>>;
}

export async function loadDisks(signal: AbortSignal): Promise<Disk[]> {
  const names = Object.keys(EXPRESSIONS) as Figure[];
  const answers = await Promise.all(names.map((name) => samplesOf(EXPRESSIONS[name], signal)));
  return disksOf(Object.fromEntries(names.map((name, i) => [name, answers[i]?.samples ?? []])) as unknown as Answers);
}

export function disksOf(answers: Answers): Disk[] {
  const disks = new Map<string, Disk>();
  for (const [figure, samples] of Object.entries(answers) as [Figure, readonly Sample[]][]) {
    for (const { labels, value } of samples) {
      const device = (labels["device"] ?? "").replace(/^\/dev\//, "");
      if (device === "" || device.startsWith("zram") || !isRealDisk(device)) continue;
      const disk = disks.get(device) ?? { device, model: "", figures: {} };
      disk.model ||= labels["model"] ?? labels["model_name"] ?? "";
      // Nothing done is no wait of any length.
      if (Number.isFinite(value)) disk.figures[figure] = value;
      disks.set(device, disk);
    }
  }
  return [...disks.values()].sort((a, b) => a.device.localeCompare(b.device));
}

export type ArrayRow = Answer<"GET /api/v1/storage/arrays">["items"][number];

export interface Array {
  device: string;
  state: string;
  active: number;
  wanted: number;
  failed: number;
  spare: number;
  degraded: boolean;
  /** In 0..=100. */
  synced: number | undefined;
}

export async function loadArrays(signal: AbortSignal): Promise<Array[]> {
  const { items } = await call("GET /api/v1/storage/arrays", { query: { limit: 1000 }, signal });
  return items.map(arrayOf);
}

export function arrayOf(one: ArrayRow): Array {
  const { blocks, blocks_synced: synced } = one;
  return {
    device: one.device ?? "",
    state: one.state ?? "",
    active: one.disks_active ?? 0,
    wanted: one.disks_required ?? 0,
    failed: one.disks_failed ?? 0,
    spare: one.disks_spare ?? 0,
    degraded: one.degraded,
    synced: blocks && typeof synced === "number" ? (100 * synced) / blocks : undefined,
  };
}
