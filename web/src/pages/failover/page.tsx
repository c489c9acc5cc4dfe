/** All failover groups: each drawn, with the sentence that says how it stands. */

import { call } from "../../data/api";
import { changes } from "../../data/live";
import { usePolled } from "../../data/poll";
import type { Group } from "../../data/types";
import { Empty } from "../../parts/empty";
import { Loaded } from "../../parts/loaded";
import { Pill } from "../../parts/status";
import { href, NEW } from "../../router";
import { failover as words } from "../../text";
import { sentenceOf, toneOfGroup } from "./sentence";
import { TopologyDrawing } from "./topology";

const EXAMPLE = `[[failover.group]]
name = "main"
members = ["pg1", "pg2"]
listen = "127.0.0.1:6432"`;

export function FailoverPage() {
  const list = usePolled((signal) => call("GET /api/v1/failover/groups", { query: { limit: 100 }, signal }), 3000, changes);
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <a class="button primary" href={href(`/failover/${NEW}`)}>
          {words.add}
        </a>
        <p class="lead muted">{words.lead}</p>
      </div>
      <Loaded resource={list} what={words.title}>
        {(answer) =>
          answer.items.length === 0 ? (
            <div class="card">
              <Empty title={words.emptyTitle} text={words.emptyText} command={{ text: EXAMPLE, label: words.emptyLabel }} />
            </div>
          ) : (
            <>
              {answer.items.map((group) => (
                <Card key={group.name} group={group} />
              ))}
            </>
          )
        }
      </Loaded>
    </div>
  );
}

function Card({ group }: { group: Group }) {
  const address = href(`/failover/${encodeURIComponent(group.name)}`);
  return (
    <section class="card pad group-card" aria-labelledby={`group-${group.name}`} data-group={group.name}>
      <div class="head-row">
        <h2 id={`group-${group.name}`}>
          <a href={address}>{group.name}</a>
          <Pill tone={toneOfGroup(group)}>{words.states[group.state]}</Pill>
        </h2>
        <a class="button small" href={address} aria-label={words.open(group.name)}>
          {words.details}
        </a>
      </div>
      <p>{sentenceOf(group)}</p>
      <TopologyDrawing group={group} />
    </section>
  );
}
