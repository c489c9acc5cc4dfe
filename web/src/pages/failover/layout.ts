/**
 * Where the parts of a topology lie: applications, the endpoint, the members, and the lines
 * between them. Pure; beside each other in a wide window, below each other in a narrow one.
 */

import type { Group } from "../../data/types";

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Link {
  kind: "apps" | "route" | "none" | "stream";
  path: string;
  /** The member that it leads to. */
  to?: string;
}

export interface Topology {
  width: number;
  height: number;
  apps: Box;
  endpoint: Box;
  members: (Box & { name: string })[];
  links: Link[];
  /** Where the route ends when it leads nowhere. */
  end?: { x: number; y: number };
}

const TALL = 58;
const GAP = 16;
/** Before the tip of an arrow. */
const TIP = 5;

const middle = (box: Box) => box.y + box.h / 2;

export function topologyOf(group: Pick<Group, "active" | "members">, wide: boolean): Topology {
  const stacked = (x: number, top: number, w: number) =>
    group.members.map((member, i) => ({ name: member.name, x, y: top + i * (TALL + GAP), w, h: TALL }));
  const all = group.members.length * (TALL + GAP) - GAP;
  const height = wide ? Math.max(all, TALL) + 8 : 152 + all + 8;
  const members = wide ? stacked(410, 4, 270) : stacked(34, 152, 262);
  const centre = wide ? 4 + (Math.max(all, TALL) - TALL) / 2 : 0;
  const apps: Box = wide ? { x: 4, y: centre, w: 118, h: TALL } : { x: 34, y: 4, w: 262, h: 36 };
  const endpoint: Box = wide ? { x: 168, y: centre, w: 186, h: TALL } : { x: 34, y: 64, w: 262, h: TALL };
  const links: Link[] = [
    { kind: "apps", path: wide ? `M122 ${middle(apps)}H${168 - TIP}` : `M165 40V${64 - TIP}` },
  ];
  const active = members.find((one) => one.name === group.active);
  if (!active) {
    links.push({ kind: "none", path: wide ? `M354 ${middle(endpoint)}H378` : "M165 122V134" });
    return { width: wide ? 760 : 340, height, apps, endpoint, members, links, end: wide ? { x: 384, y: middle(endpoint) } : { x: 165, y: 139 } };
  }
  const path = wide
    ? `M354 ${middle(endpoint)}H382V${middle(active)}H${active.x - TIP}`
    : `M34 ${middle(endpoint)}H16V${middle(active)}H${active.x - TIP}`;
  links.push({ kind: "route", path, to: active.name });
  const edge = active.x + active.w;
  for (const member of members) {
    const known = group.members.find((one) => one.name === member.name);
    if (member === active || !known?.attached) continue;
    const out = edge + 16 + 10 * Math.abs(members.indexOf(member) - members.indexOf(active));
    links.push({ kind: "stream", path: `M${edge} ${middle(active)}H${out}V${middle(member)}H${edge + TIP}`, to: member.name });
  }
  return { width: wide ? 760 : 340, height, apps, endpoint, members, links };
}
