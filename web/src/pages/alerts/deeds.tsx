/** The dialogs behind acknowledge, silence and resolve, for one alert or many. */

import { useComputed, useSignal, type Signal } from "@preact/signals";

import { acknowledge, resolve, silence, type Outcome } from "../../data/alert_deeds";
import { agentNow } from "../../data/live";
import type { Alert } from "../../data/types";
import { useAction } from "../../parts/action";
import { Dialog } from "../../parts/dialog";
import { CheckField, FormProblem, SelectField, TextField } from "../../parts/form";
import { toast } from "../../parts/toast";
import { alerts as words, deeds, parts } from "../../text";
import { parseSpan } from "../../text/units";

export type Deed = "acknowledge" | "silence" | "resolve";

export interface Asked {
  deed: Deed;
  alerts: readonly Alert[];
}

const SPANS = Object.entries(deeds.spans);

export function DeedDialog({ asked, done }: { asked: Signal<Asked | undefined>; done: () => void }) {
  const open = useComputed(() => asked.value !== undefined);
  const now = asked.value;
  const titles = { acknowledge: deeds.acknowledgeTitle, silence: deeds.silenceTitle, resolve: deeds.resolveTitle };
  return (
    <Dialog open={open} onClose={() => (asked.value = undefined)} title={now ? titles[now.deed](now.alerts.length) : ""}>
      {now && (
        <Form
          {...now}
          close={(did) => {
            asked.value = undefined;
            if (did) done();
          }}
        />
      )}
    </Dialog>
  );
}

const TEXTS = { acknowledge: deeds.acknowledgeText, silence: deeds.silenceText, resolve: deeds.resolveText };
const SAID = { acknowledge: deeds.acknowledged, silence: deeds.silenced, resolve: deeds.resolved };

function Form({ deed, alerts, close }: Asked & { close: (did: boolean) => void }) {
  const comment = useSignal("");
  const span = useSignal(deed === "silence" ? "4h" : "");
  const planned = useSignal(false);
  const action = useAction(async () => {
    const until = () => (span.value === "" ? "" : new Date(agentNow() + (parseSpan(span.value) ?? 0)).toISOString());
    const outcome: Outcome =
      deed === "acknowledge"
        ? await acknowledge(alerts, comment.value, until())
        : deed === "resolve"
          ? await resolve(alerts, comment.value)
          : await silence(alerts, comment.value, span.value, planned.value);
    const refused = outcome.refused[0];
    if (refused) toast("bad", deeds.some(outcome.refused.length, refused.message));
    if (outcome.done > 0) return SAID[deed](outcome.done);
  }, true);
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void action.run().then((did) => did && close(true));
      }}
    >
      <p class="muted">{TEXTS[deed]}</p>
      <ul class="deed-list">
        {alerts.slice(0, 5).map((alert) => (
          <li key={alert.id}>{alert.title}</li>
        ))}
        {alerts.length > 5 && <li class="muted">+ {alerts.length - 5}</li>}
      </ul>
      <TextField label={deeds.comment} value={comment} hint={deeds.commentHint} focus />
      {deed === "acknowledge" && <SelectField label={deeds.until} value={span} options={[["", deeds.untilOpen], ...SPANS]} />}
      {deed === "silence" && (
        <>
          <SelectField label={deeds.span} value={span} options={SPANS} />
          <CheckField label={deeds.maintenance} value={planned} />
        </>
      )}
      <FormProblem problem={action.problem.value} />
      <p class="dialog-foot">
        <button type="button" class="button" onClick={() => close(false)}>
          {parts.cancel}
        </button>
        <button type="submit" class="button primary" disabled={action.busy.value}>
          {words[deed]}
        </button>
      </p>
    </form>
  );
}
