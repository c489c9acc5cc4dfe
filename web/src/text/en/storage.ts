/** Words of the page about storage. */

export const storage = {
  title: "Storage",
  lead: "What this host stores on: filesystems, disks, arrays, network mounts. What it does not have is not shown.",
  filesystems: "Filesystems",
  use: "Use over time",
  useNone: "There is no history in this time.",
  disks: "Disks",
  diskColumns: { name: "Disk", model: "Model", read: "Reads", write: "Writes", iops: "Operations", busy: "Busy", wait: "Wait", health: "Health", temperature: "Temperature" },
  traffic: "Reads and writes",
  busy: "Busy share",
  read: "read",
  written: "written",
  arrays: "Arrays",
  arrayColumns: { name: "Array", state: "State", disks: "Disks", synced: "In sync" },
  arrayDisks: (active: number, wanted: number, failed: number, spare: number) =>
    [`${active} of ${wanted} active`, failed > 0 ? `${failed} failed` : "", spare > 0 ? `${spare} spare` : ""].filter((part) => part !== "").join(", "),
  degraded: "degraded",
  network: "Network mounts",
  mountColumns: { mounted: "Mounted at", from: "From", state: "State", used: "Used" },
  answers: "answers",
  hangs: "does not answer",
  passed: "passed",
  failing: "failing",
  none: "Nothing is known of the storage yet",
  noneText: "The figures come with the first ticks of the collectors.",
} as const;
