/** Which devices a chart shows, and which filesystems and disks count as the host's own. */

import { mean, type Series } from "./series";

/** More lines than this in one chart cannot be told apart. */
export const MOST_DEVICES = 4;

/** Loop devices, memory disks and the loopback interface say nothing about the host. */
const UNINTERESTING = /^(loop|ram|fd|sr)\d+$|^lo$/;
/** Interfaces that containers and bridges make; their traffic passes a real one too. */
const VIRTUAL_LINK = /^(lo|veth.*|br-.*|docker\d+|virbr\d+.*|cali.*|flannel.*|cni\d+)$/;
/** Devices on top of others: their traffic passes a real disk too. */
const LAYERED_DISK = /^(dm-\d+|md\d+.*|loop\d+|ram\d+|zd\d+|sr\d+|fd\d+)$/;

export function isRealLink(device: string): boolean {
  return !VIRTUAL_LINK.test(device);
}

export function isRealDisk(device: string): boolean {
  return !LAYERED_DISK.test(device);
}

export interface Devices {
  names: string[];
  left: number;
}

/** The busiest devices by the mean of `activity`, in name order, and how many were left out. */
export function busiest(activity: ReadonlyMap<string, number>, most = MOST_DEVICES): Devices {
  const known = [...activity.keys()].filter((name) => !UNINTERESTING.test(name));
  const ranked = known.sort((a, b) => (activity.get(b) ?? 0) - (activity.get(a) ?? 0) || a.localeCompare(b));
  return { names: ranked.slice(0, most).sort(), left: Math.max(0, ranked.length - most) };
}

/** Sum of the growth of counters, per value of a label: a cheap measure of activity. */
export function activityBy(label: string, counters: readonly Series[]): Map<string, number> {
  const activity = new Map<string, number>();
  for (const series of counters) {
    const device = series.labels[label];
    if (device === undefined) continue;
    const known = series.values.filter((value) => value !== null);
    // A device that never moved a byte is not one that anybody watches.
    if (!known.some((value) => value !== 0)) continue;
    const growth = known.length < 2 ? 0 : Math.max(0, (known.at(-1) ?? 0) - (known[0] ?? 0));
    activity.set(device, (activity.get(device) ?? 0) + growth);
  }
  return activity;
}

/** The same for gauges: their mean. */
export function levelBy(name: (series: Series) => string, gauges: readonly Series[]): Map<string, number> {
  return new Map(gauges.map((series) => [name(series), mean(series.values)]));
}
