/** One alert: why it fired, what happened since, who was told. */

import { useSignal } from "@preact/signals";

import { takeBack } from "../../data/alert_deeds";
import { call } from "../../data/api";
import { alertChanges } from "../../data/live";
import { usePolled } from "../../data/poll";
import type { AlertDetail } from "../../data/types";
import { useAction } from "../../parts/action";
import { Facts } from "../../parts/facts";
import { Loaded } from "../../parts/loaded";
import { SeverityPill, toneOfSeverity } from "../../parts/severity";
import { Shape } from "../../parts/status";
import { Clock, When } from "../../parts/when";
import { href } from "../../router";
import { useKeys } from "../../shell/keyboard";
import { alert as words, alerts, deeds } from "../../text";
import { NOTHING, plain } from "../../text/units";
import { DeedDialog, type Asked, type Deed } from "../alerts/deeds";
import { Flags, instanceOf, StateWord } from "../alerts/state";
import { Deliveries } from "../channels/deliveries";
import type { PageProps } from "../index";
import { Why } from "./why";

export function AlertPage({ params }: PageProps) {
  const id = params["id"] ?? "";
  const detail = usePolled((signal) => call("GET /api/v1/monitoring/alerts/{id}", { path: { id }, signal }), 15_000, alertChanges);
  const asked = useSignal<Asked | undefined>(undefined);
  const ask = (deed: Deed) => {
    const alert = detail.value.value;
    if (alert) asked.value = { deed, alerts: [alert] };
  };
  useKeys([
    { key: "a", words: alerts.keys.acknowledge, run: () => ask("acknowledge") },
    { key: "s", words: alerts.keys.silence, run: () => ask("silence") },
    { key: "r", words: alerts.keys.resolve, run: () => ask("resolve") },
  ]);
  return (
    <div class="page">
      <Loaded resource={detail} what={alerts.columns.alert}>
        {(alert) => (
          <>
            <Head alert={alert} ask={ask} reload={detail.retry} />
            <Why key={alert.fired_at} alert={alert} />
            <div class="columns">
              <Timeline alert={alert} />
              <About alert={alert} />
            </div>
            <section aria-labelledby="deliveries">
              <h2 id="deliveries">{words.deliveries}</h2>
              <Deliveries items={alert.deliveries} reload={detail.retry} none={words.noDeliveries} />
            </section>
          </>
        )}
      </Loaded>
      <DeedDialog asked={asked} done={detail.retry} />
    </div>
  );
}

function Head({ alert, ask, reload }: { alert: AlertDetail; ask: (deed: Deed) => void; reload: () => void }) {
  const over = alert.state === "resolved";
  const back = useAction(async () => {
    await takeBack(alert);
    reload();
    return deeds.takenBack;
  });
  return (
    <section class={`card verdict ${over ? "ok" : toneOfSeverity(alert.severity_level)}`} aria-labelledby="alert-title">
      <Shape tone={over ? "ok" : toneOfSeverity(alert.severity_level)} size={18} />
      <div class="verdict-text">
        <p class="muted small">
          <a href={href("/alerts")}>{words.back}</a>
        </p>
        <h1 id="alert-title">{alert.title}</h1>
        <p>{alert.message}</p>
        <p class="tags">
          <SeverityPill severity={alert.severity_level} />
          <StateWord alert={alert} />
          <Flags alert={alert} />
        </p>
        <Muted alert={alert} />
        {alert.error && <p class="fault">{alert.error}</p>}
      </div>
      {!over && (
        <p class="row-actions">
          {alert.acknowledged ? (
            <button type="button" class="button" disabled={back.busy.value} onClick={() => void back.run()}>
              {alerts.unacknowledge}
            </button>
          ) : (
            <button type="button" class="button primary" onClick={() => ask("acknowledge")}>
              {alerts.acknowledge}
            </button>
          )}
          <button type="button" class="button" onClick={() => ask("silence")}>
            {alerts.silence}
          </button>
          <button type="button" class="button" onClick={() => ask("resolve")}>
            {alerts.resolve}
          </button>
        </p>
      )}
    </section>
  );
}

/** Why nobody is told of it. */
function Muted({ alert }: { alert: AlertDetail }) {
  if (alert.inhibited_by.length > 0) {
    return (
      <p class="muted">
        {words.mutedBy}{" "}
        {alert.inhibited_by.map((id) => (
          <a key={id} href={href(`/alerts/${id}`)}>
            {words.cause}
          </a>
        ))}
      </p>
    );
  }
  if (alert.silenced_by.length > 0) {
    return (
      <p class="muted">
        {words.silencedBy} <a href={href("/silences")}>{alert.silenced_by.length}</a>
      </p>
    );
  }
  return alert.waits_until ? <p class="muted">{words.waits}</p> : null;
}

function Timeline({ alert }: { alert: AlertDetail }) {
  return (
    <section class="card pad" aria-labelledby="timeline">
      <h2 id="timeline">{words.timeline}</h2>
      <ol class="timeline">
        {alert.timeline.map((step) => (
          <li key={step.number}>
            <Shape tone={step.what.startsWith("resolved") ? "ok" : toneOfSeverity(step.severity)} />
            <span>
              {words.happenings[step.what]}
              {step.by && <span class="muted"> {words.by(step.by)}</span>}
              {step.note && <span class="second">{step.note}</span>}
            </span>
            <span class="number">{step.value === null || step.value === undefined ? NOTHING : plain(step.value)}</span>
            <span class="number muted">
              <Clock at={step.at} />
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function About({ alert }: { alert: AlertDetail }) {
  const runbook = alert.annotations["runbook_url"] ?? alert.annotations["runbook"];
  const labels = instanceOf(alert);
  return (
    <section class="card pad" aria-labelledby="facts">
      <h2 id="facts">{words.facts}</h2>
      <Facts
        items={[
          // What was reported ends by itself and has no rule to show.
          [words.rule, alert.expires_at ? alert.rule : <a href={href(`/rules/${alert.rule}`)}>{alert.rule}</a>],
          [words.runbook, runbook && <Runbook address={runbook} />],
          [
            words.labels,
            labels.length > 0 && (
              <span class="tags">
                {labels.map(([name, value]) => (
                  <code key={name} class="tag">
                    {name}={value}
                  </code>
                ))}
              </span>
            ),
          ],
          [words.source, alert.source],
          [words.resource, [alert.resource_type, alert.resource_id].filter(Boolean).join(" ")],
          [words.began, <When at={alert.created_at} />],
          [words.fired, alert.fired_at && <When at={alert.fired_at} />],
          [words.resolvedAt, alert.resolved_at && <When at={alert.resolved_at} />],
          [
            words.acknowledgedAt,
            alert.acknowledged_at && (
              <>
                <When at={alert.acknowledged_at} /> {words.by(alert.acknowledged_by ?? "")}
                {alert.acknowledged_comment && <span class="second">{alert.acknowledged_comment}</span>}
              </>
            ),
          ],
          [words.expires, alert.expires_at && <When at={alert.expires_at} />],
          [words.id, <code>{alert.id}</code>],
        ]}
      />
    </section>
  );
}

/** Only an address of the web becomes a link: a rule may hold any text. */
function Runbook({ address }: { address: string }) {
  if (!/^https?:\/\//.test(address)) return <>{address}</>;
  return (
    <a href={address} target="_blank" rel="noreferrer noopener">
      {address}
    </a>
  );
}
