/** Brings in a rule file of Prometheus: first what it would do, then does it. */

import { useSignal, type Signal } from "@preact/signals";

import { call, type Answer } from "../../data/api";
import { useAction } from "../../parts/action";
import { Dialog } from "../../parts/dialog";
import { FormProblem, TextField } from "../../parts/form";
import { Warnings } from "../../parts/warnings";
import { imports as words, parts } from "../../text";

export function ImportDialog({ open, done }: { open: Signal<boolean>; done: () => void }) {
  return (
    <Dialog open={open} title={words.title} kind="wide">
      <Form
        close={() => {
          open.value = false;
          done();
        }}
      />
    </Dialog>
  );
}

type Found = Answer<"POST /api/v1/monitoring/rules/import">;

function Form({ close }: { close: () => void }) {
  const text = useSignal("");
  const found = useSignal<Found | undefined>(undefined);
  const action = useAction(async (dry: boolean) => {
    const answer = await call("POST /api/v1/monitoring/rules/import", { query: { dry_run: dry }, body: text.value });
    found.value = answer;
    if (dry) return;
    close();
    return words.done(answer.created + answer.changed);
  }, true);
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void action.run(found.value === undefined);
      }}
    >
      <TextField
        label={words.file}
        hint={words.hint}
        value={text}
        rows={14}
        mono
        focus
        required
        onChange={() => {
          found.value = undefined;
          action.clear();
        }}
      />
      <FormProblem problem={action.problem.value} />
      {found.value && (
        <>
          <p role="status">{words.counts(found.value.created, found.value.changed, found.value.unchanged)}</p>
          <Warnings texts={found.value.warnings.map((one) => words.at(one.line, one.column, one.detail))} />
        </>
      )}
      <p class="dialog-foot">
        <button type="button" class="button" onClick={close}>
          {parts.cancel}
        </button>
        <button type="submit" class="button primary" disabled={action.busy.value}>
          {found.value ? words.run : words.check}
        </button>
      </p>
    </form>
  );
}
