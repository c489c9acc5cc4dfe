/** The alerts that a rule made in the last seven days. */

import { call } from "../../data/api";
import { agentNow, alertChanges } from "../../data/live";
import { usePolled } from "../../data/poll";
import type { Alert } from "../../data/types";
import { Loaded } from "../../parts/loaded";
import { SeverityPill } from "../../parts/severity";
import { When } from "../../parts/when";
import { href } from "../../router";
import { alerts, rule as words } from "../../text";
import { DAY } from "../../time/range";
import { labelsText } from "./now";

const ROWS = 20;
const SPAN = 7 * DAY;

export function History({ name }: { name: string }) {
  const list = usePolled(
    async (signal) => {
      const since = new Date(agentNow() - SPAN).toISOString();
      const answer = await call("GET /api/v1/monitoring/alerts", { query: { q: name, state: "all", since, limit: 200 }, signal });
      return answer.alerts.filter((alert) => alert.rule === name && alert.fired_at);
    },
    30_000,
    alertChanges,
  );
  return (
    <section class="card pad" aria-labelledby="history">
      <h2 id="history">{words.history}</h2>
      <Loaded resource={list} what={words.history}>
        {(found) => (found.length === 0 ? <p class="muted">{words.historyNone}</p> : <Rows found={found} />)}
      </Loaded>
    </section>
  );
}

function Rows({ found }: { found: readonly Alert[] }) {
  return (
    <ul class="rows">
      {found.slice(0, ROWS).map((alert) => (
        <li key={alert.id}>
          <SeverityPill severity={alert.severity_level} />
          <a href={href(`/alerts/${alert.id}`)}>{alert.title}</a>
          <span class="muted">{labelsText(alert.labels)}</span>
          <span class="muted">{alerts.stateWords[alert.state]}</span>
          <When at={alert.fired_at} />
        </li>
      ))}
    </ul>
  );
}
