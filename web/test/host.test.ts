import { describe, expect, it } from "vitest";

import { activityBy, busiest, isRealDisk, isRealLink } from "../src/data/devices";
import { filesystemsOf, fullest } from "../src/data/filesystems";
import { cpuBusy, hostSections, Index } from "../src/data/host_plots";
import { gridOf } from "../src/data/series";
import type { InstantAnswer, RangeAnswer } from "../src/data/types";

type Wire = RangeAnswer["series"][number];

const series = (name: string, labels: Record<string, string>, values: Wire["values"]): Wire => ({ query: 0, name, labels, values });

function grid(list: Wire[]) {
  const length = list[0]?.values.length ?? 0;
  const end = new Date((length - 1) * 1000).toISOString();
  return gridOf({ start: new Date(0).toISOString(), end, start_ms: 0, step_ms: 1000, resolutions: ["raw"], series: list });
}

describe("charts of the host", () => {
  it("do not exist for what the host does not have", () => {
    expect(hostSections(grid([]))).toEqual([]);
    const sections = hostSections(grid([series("node_load1", {}, [1, 2])]));
    expect(sections.map((section) => section.plots.map((plot) => plot.id))).toEqual([["load"]]);
  });

  it("show the processors as shares of all their time, however late a tick was", () => {
    const cpu = (mode: string, values: number[]) => series("node_cpu_seconds_total", { cpu: "0", mode }, values);
    const index = new Index(grid([cpu("idle", [0, 1.5, 3]), cpu("user", [0, 0.5, 1]), cpu("iowait", [0, 0, 0])]));
    expect(cpuBusy(index)).toEqual([25, 25]);
  });

  it("draw writes below the line and leave out devices that never moved a byte", () => {
    const disk = (device: string, way: string, values: number[]) => series(`node_disk_${way}_bytes_total`, { device }, values);
    const sections = hostSections(grid([disk("sda", "read", [5, 9]), disk("sda", "written", [0, 1]), disk("sdb", "read", [0, 0])]));
    const lines = sections[0]?.plots.find((plot) => plot.id === "disk-bytes")?.lines ?? [];
    expect(lines.map((line) => [line.label, line.mirrored ?? false])).toEqual([["sda read", false], ["sda written", true]]);
  });

  it("keep only the busiest devices and say how many are left", () => {
    const counters = ["a", "b", "c", "d", "e", "lo"].map((device, i) => ({ name: "x", labels: { device }, values: [1, 1 + i] }));
    expect(busiest(activityBy("device", counters))).toEqual({ names: ["b", "c", "d", "e"], left: 1 });
  });

  it("count traffic once", () => {
    expect(["eth0", "enp3s0", "lo", "veth12ab", "br-0123", "docker0"].filter(isRealLink)).toEqual(["eth0", "enp3s0"]);
    expect(["sda", "nvme0n1", "dm-0", "md127", "loop3"].filter(isRealDisk)).toEqual(["sda", "nvme0n1"]);
  });
});

describe("filesystems", () => {
  const mount = (mountpoint: string, device: string, fstype: string, figures: Record<string, number>): InstantAnswer["series"] =>
    Object.entries(figures).map(([name, value]) => ({
      query: 0,
      name: `node_filesystem_${name}`,
      labels: { mountpoint, device, fstype },
      at: "",
      value,
    }));
  const rows = filesystemsOf({
    time: "",
    series: [
      ...mount("/", "/dev/sda1", "ext4", { size_bytes: 110, free_bytes: 50, avail_bytes: 40, files: 10, files_free: 5, readonly: 0 }),
      ...mount("/var/lib/x", "/dev/sda1", "ext4", { size_bytes: 110, free_bytes: 50, avail_bytes: 40 }),
      ...mount("/data", "/dev/sdb1", "xfs", { size_bytes: 200, free_bytes: 20, avail_bytes: 20, readonly: 1 }),
      ...mount("/run", "tmpfs", "tmpfs", { size_bytes: 10, free_bytes: 0, avail_bytes: 0 }),
      ...mount("/mnt/nas", "nas:/x", "nfs4", { device_error: 1 }),
      ...mount("/proc/x", "none", "proc", { size_bytes: 0, free_bytes: 0, avail_bytes: 0 }),
    ],
  });

  it("appear once per device, with shares, and the stuck one too", () => {
    expect(rows.map((row) => row.mountpoint)).toEqual(["/", "/data", "/mnt/nas", "/run"]);
    expect(rows[0]).toMatchObject({ usedShare: 60, inodeShare: 50, also: ["/var/lib/x"], readOnly: false });
    expect(rows[1]).toMatchObject({ usedShare: 90, readOnly: true });
    expect(rows[2]).toMatchObject({ stuck: true, usedShare: undefined });
  });

  it("are never called full because a memory disk is", () => {
    expect(fullest(rows)?.mountpoint).toBe("/data");
  });
});
