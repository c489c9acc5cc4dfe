import { describe, expect, test } from "vitest";

import { arrayOf, disksOf, type Answers } from "../src/data/disks";
import { keysOf } from "../src/data/target_kinds";
import { deedsIn } from "../src/pages/targets/deeds";

const sample = (labels: Record<string, string>, value: number) => ({ labels, value });

describe("disks", () => {
  const none: Answers = { info: [], read: [], written: [], operations: [], busy: [], wait: [], healthy: [], temperature: [] };

  test("are put together from what each series says, layers and memory left out", () => {
    const found = disksOf({
      ...none,
      info: [sample({ device: "sda", model: "WD Red" }, 1), sample({ device: "dm-0" }, 1), sample({ device: "zram0" }, 1)],
      busy: [sample({ device: "sda" }, 12)],
      healthy: [sample({ device: "/dev/sda", model_name: "other" }, 1)],
    });
    expect(found).toEqual([{ device: "sda", model: "WD Red", figures: { info: 1, busy: 12, healthy: 1 } }]);
  });

  test("one that did nothing has no wait, and none of zero", () => {
    expect(disksOf({ ...none, wait: [sample({ device: "sda" }, NaN)] })[0]?.figures.wait).toBeUndefined();
  });
});

describe("arrays", () => {
  test("say how many disks they have, want and lost, and how far a rebuild is", () => {
    const found = arrayOf({
      device: "md0",
      state: "recovering",
      disks_active: 2,
      disks_failed: 1,
      disks_spare: 0,
      disks_required: 3,
      blocks: 400,
      blocks_synced: 100,
      degraded: true,
      seen_at: "2026-11-28T12:00:00Z",
    });
    expect(found).toEqual({ device: "md0", state: "recovering", active: 2, wanted: 3, failed: 1, spare: 0, degraded: true, synced: 25 });
  });
});

describe("targets", () => {
  test("every kind has its keys, and one that is not known has the common ones", () => {
    expect(keysOf("postgres").map((one) => one.key)).toContain("password_file");
    expect(keysOf("systemd").map((one) => one.key)).toContain("unit");
    expect(keysOf("carrier_pigeon").map((one) => one.key)).toEqual(["interval", "timeout", "enabled"]);
  });

  test("a breaker offers only what changes it, and a way out of what an operator set", () => {
    expect(deedsIn("open")).toEqual(["reset", "force-open", "disable", "metrics-only"]);
    expect(deedsIn("forced_open")).toEqual(["release", "disable", "metrics-only"]);
    expect(deedsIn("disabled")).toEqual(["release", "force-open", "metrics-only"]);
  });
});
