/** What needs somebody now, worst first; nothing at all when nothing does. */

import { useSignal } from "@preact/signals";

import { active, activeProblem, firing, loadActive } from "../../data/alerts";
import { ProblemCard } from "../../parts/problem";
import { SeverityPill } from "../../parts/severity";
import { When } from "../../parts/when";
import { href } from "../../router";
import { alerts, overview as words, parts } from "../../text";
import { DeedDialog, type Asked } from "../alerts/deeds";
import { instanceOf } from "../alerts/state";
import { byWeight } from "../alerts/weight";

const MOST = 5;

export function Firing() {
  const asked = useSignal<Asked | undefined>(undefined);
  const all = byWeight(firing.value);
  const others = (active.value?.length ?? 0) - all.length;
  const problem = activeProblem.value;
  if (problem && !active.value) return <ProblemCard error={problem} retry={() => void loadActive()} what={parts.notLoaded(alerts.title)} />;
  if (all.length === 0) return null;
  return (
    <section class="card pad firing" aria-labelledby="firing">
      <h2 id="firing">
        {words.firing} <span class="muted">{others > 0 && words.alsoActive(others)}</span>
      </h2>
      <ul class="rows">
        {all.slice(0, MOST).map((alert) => (
          <li key={alert.id} data-alert={alert.rule}>
            <SeverityPill severity={alert.severity_level} />
            <a href={href(`/alerts/${alert.id}`)}>{alert.title}</a>
            <span class="muted small">{instanceOf(alert).map(([name, value]) => `${name}=${value}`).join(" \u00b7 ")}</span>
            <When at={alert.fired_at ?? alert.created_at} />
            <button type="button" class="button small" onClick={() => (asked.value = { deed: "acknowledge", alerts: [alert] })}>
              {alerts.acknowledge}
              <span class="visually-hidden"> {alert.title}</span>
            </button>
          </li>
        ))}
      </ul>
      <p class="small">
        <a href={href("/alerts")}>{all.length > MOST ? words.allFiring(all.length) : words.toAlerts}</a>
      </p>
      <DeedDialog asked={asked} done={() => void loadActive()} />
    </section>
  );
}
