/** A group drawn: who connects where, whom the address leads to, who follows whom. */

import type { Group, Member } from "../../data/types";
import { Shape, type Tone } from "../../parts/status";
import { wide } from "../../parts/wide";
import { failover as words } from "../../text";
import { bytes } from "../../text/units";
import { topologyOf, type Box } from "./layout";

const TONES: Record<Member["state"], Tone> = { active: "ok", standby: "ok", ineligible: "warn", fenced: "warn", down: "bad", unknown: "off" };

export function toneOfMember(member: Member): Tone {
  if (member.needs_rejoin && member.state !== "down") return "warn";
  if (member.state === "active" && member.writable === false) return "bad";
  return member.state === "standby" && !member.attached ? "warn" : TONES[member.state];
}

/** What the box of a member says below its name. */
export function detailOf(member: Member): string {
  const parts: string[] = [];
  if (member.needs_rejoin) parts.push(words.mustRejoin);
  if (member.state === "active") parts.push(member.writable === false ? words.readonly : words.writable);
  if (member.state !== "active" && member.state !== "down" && !member.needs_rejoin) {
    parts.push(member.attached ? words.streams : words.apart);
    if (member.lag_bytes !== null && member.lag_bytes !== undefined) parts.push(words.lag(bytes(member.lag_bytes)));
  }
  return parts.join(", ");
}

export function TopologyDrawing({ group }: { group: Group }) {
  const drawn = topologyOf(group, wide.value);
  const said = group.members.map((one) => `${one.name}: ${[words.memberStates[one.state], detailOf(one)].filter(Boolean).join(", ")}.`).join(" ");
  return (
    <svg
      class="topology"
      viewBox={`0 0 ${drawn.width} ${drawn.height}`}
      role="img"
      aria-label={words.drawn(group.endpoint, group.active ?? undefined, said)}
      data-active={group.active ?? ""}
    >
      <defs>
        <marker id="tip" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">
          <path d="M0 0 8 4 0 8z" />
        </marker>
        <marker id="route-tip" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="12" markerHeight="12" markerUnits="userSpaceOnUse" orient="auto">
          <path d="M0 0 8 4 0 8z" />
        </marker>
      </defs>
      {drawn.links.map((link) => (
        <path
          key={`${link.kind} ${link.to ?? ""}`}
          class={`link ${link.kind}`}
          d={link.path}
          marker-end={link.kind === "none" ? undefined : link.kind === "route" ? "url(#route-tip)" : "url(#tip)"}
        />
      ))}
      {drawn.end && (
        <g class="no-route">
          <path d={`M${drawn.end.x - 5} ${drawn.end.y - 5}l10 10m0-10-10 10`} />
          <text x={drawn.end.x + (wide.value ? 0 : 12)} y={drawn.end.y + (wide.value ? 22 : 4)} text-anchor={wide.value ? "middle" : "start"}>
            {words.noRouteMark}
          </text>
        </g>
      )}
      <Node box={drawn.apps} name={words.apps} />
      <Node box={drawn.endpoint} name="holdfast" detail={group.endpoint} kind="endpoint" />
      {drawn.members.map((box) => {
        const member = group.members.find((one) => one.name === box.name);
        return member && <MemberNode key={box.name} box={box} member={member} />;
      })}
    </svg>
  );
}

function Node({ box, name, detail, kind = "" }: { box: Box; name: string; detail?: string; kind?: string }) {
  const x = box.x + box.w / 2;
  const y = box.y + box.h / 2;
  return (
    <g class={`node-box ${kind}`}>
      <rect x={box.x} y={box.y} width={box.w} height={box.h} rx="6" />
      <text class="name" x={x} y={detail === undefined ? y + 5 : y - 4} text-anchor="middle">
        {name}
      </text>
      {detail !== undefined && (
        <text class="detail" x={x} y={y + 15} text-anchor="middle">
          {detail}
        </text>
      )}
    </g>
  );
}

function MemberNode({ box, member }: { box: Box; member: Member }) {
  const tone = toneOfMember(member);
  return (
    <g class={`node-box member ${tone} ${member.state}`}>
      <rect x={box.x} y={box.y} width={box.w} height={box.h} rx="6" />
      <g transform={`translate(${box.x + 14} ${box.y + 16})`}>
        <Shape tone={tone} size={12} />
      </g>
      <text class="name" x={box.x + 34} y={box.y + 26}>
        {member.name}
      </text>
      <text class="state-word" x={box.x + box.w - 14} y={box.y + 26} text-anchor="end">
        {words.memberStates[member.state]}
      </text>
      <text class="detail" x={box.x + 34} y={box.y + 45}>
        {detailOf(member)}
      </text>
    </g>
  );
}
