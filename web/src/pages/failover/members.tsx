/** The members of a group in figures; those that must rejoin, and what the check found wanting. */

import { call } from "../../data/api";
import type { Group, Member } from "../../data/types";
import { useAction } from "../../parts/action";
import { Command } from "../../parts/command";
import { confirm } from "../../parts/confirm";
import { Pill } from "../../parts/status";
import { Table, type Column } from "../../parts/table";
import { When } from "../../parts/when";
import { href } from "../../router";
import { failover as words } from "../../text";
import { bytes, NOTHING } from "../../text/units";
import { BreakerPill } from "../targets/state";
import { toneOfMember } from "./topology";

const titles = words.memberColumns;

const COLUMNS: readonly Column<Member>[] = [
  {
    id: "name",
    title: titles.name,
    head: true,
    wide: true,
    cell: (one) => (
      <span>
        <a href={href(`/targets/${encodeURIComponent(one.name)}`)}>{one.name}</a>
        {one.problem && <span class="second fault">{one.problem}</span>}
      </span>
    ),
  },
  { id: "state", title: titles.state, cell: (one) => <Pill tone={toneOfMember(one)}>{words.memberStates[one.state]}</Pill> },
  { id: "role", title: titles.role, cell: (one) => words.roles[one.role] },
  { id: "breaker", title: titles.breaker, cell: (one) => <BreakerPill state={one.breaker} /> },
  { id: "lag", title: titles.lag, number: true, cell: (one) => (one.state === "active" ? NOTHING : bytes(one.lag_bytes)) },
  { id: "lsn", title: titles.lsn, number: true, cell: (one) => <code>{one.lsn ?? NOTHING}</code> },
  { id: "timeline", title: titles.timeline, number: true, cell: (one) => one.timeline ?? NOTHING },
  { id: "check", title: titles.check, cell: (one) => <When at={one.last_check} /> },
];

export function Members({ group }: { group: Group }) {
  return (
    <section aria-labelledby="members">
      <h2 id="members">{words.members}</h2>
      <Table label={words.members} columns={COLUMNS} rows={group.members} keyOf={(one) => one.name} empty={null} />
    </section>
  );
}

export function Rejoin({ group, done }: { group: Group; done: () => void }) {
  const out = group.members.filter((one) => one.needs_rejoin || one.fenced);
  const lift = useAction(async (member: string) => {
    const sure = await confirm({ title: words.unfenceTitle(member), text: words.unfenceText, action: words.unfence, word: member });
    if (!sure) return;
    await call("POST /api/v1/failover/groups/{name}/members/{member}/unfence", { path: { name: group.name, member } });
    done();
    return words.unfenced(member);
  });
  if (out.length === 0) return null;
  return (
    <section class="card pad stack" aria-labelledby="rejoin" data-part="rejoin">
      <h2 id="rejoin">{words.rejoin}</h2>
      {out.map((one) => (
        <div key={one.name} class="stack small-gap">
          <p>{one.needs_rejoin ? words.rejoinText(one.name, group.active ?? words.nobody) : words.rejoinPlain(one.name)}</p>
          {one.pg_rewind && <Command text={one.pg_rewind} label={words.rejoinLabel} />}
          {one.fenced && (
            <p>
              <button type="button" class="button small" disabled={lift.busy.value} onClick={() => void lift.run(one.name)}>
                {words.unfence}
              </button>
            </p>
          )}
        </div>
      ))}
    </section>
  );
}

export function Findings({ group }: { group: Group }) {
  return (
    <section class="card pad stack" aria-labelledby="findings" data-part="findings">
      <h2 id="findings">{words.findings}</h2>
      {group.findings.length === 0 && <p class="muted">{words.findingsNone}</p>}
      {group.findings.map((one, i) => (
        <div key={i} class="stack small-gap">
          <p>
            <Pill tone={one.blocks ? "bad" : "off"}>{one.blocks ? words.blocks : words.advice}</Pill> <strong>{one.member}</strong> {one.problem}
          </p>
          {one.sql.length > 0 && <Command text={one.sql.join("\n")} label={words.sqlLabel} />}
        </div>
      ))}
    </section>
  );
}
