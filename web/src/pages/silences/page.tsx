/** What is muted on purpose, by whom and until when. */

import { useComputed, useSignal, type Signal } from "@preact/signals";

import { active } from "../../data/alerts";
import { call } from "../../data/api";
import { alertChanges } from "../../data/live";
import { matchesAll, parseMatcher } from "../../data/matchers";
import { usePolled } from "../../data/poll";
import type { Silence } from "../../data/types";
import { useAction } from "../../parts/action";
import { confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Empty } from "../../parts/empty";
import { CheckField, FormProblem, SelectField, TextField } from "../../parts/form";
import { Loaded } from "../../parts/loaded";
import { offsetOf, Pager } from "../../parts/pager";
import { Pill, type Tone } from "../../parts/status";
import { Table, type Column } from "../../parts/table";
import { When } from "../../parts/when";
import { deeds, parts, silences as words } from "../../text";

const LIMIT = 100;
const TONES: Record<string, Tone> = { active: "ok", pending: "off", expired: "off" };
const EXAMPLE = `amtool --alertmanager.url=${location.origin}/alertmanager silence add alertname=high_cpu -d 2h -c "load test"`;

function columnsOf(reload: () => void): Column<Silence>[] {
  return [
    {
      id: "matchers",
      title: words.matchers,
      head: true,
      wide: true,
      cell: (one) => (
        <>
          <span class="tags">
            {one.matchers.map((matcher) => (
              <code key={matcher} class="tag">
                {matcher}
              </code>
            ))}
          </span>
          <span class="second">{[one.comment, one.maintenance ? words.planned : ""].filter(Boolean).join(" \u00b7 ")}</span>
        </>
      ),
    },
    {
      id: "state",
      title: words.state,
      sort: (one) => one.state,
      cell: (one) => <Pill tone={TONES[one.state] ?? "off"}>{words.states[one.state as keyof typeof words.states] ?? one.state}</Pill>,
    },
    { id: "by", title: words.by, sort: (one) => one.created_by, cell: (one) => one.created_by },
    { id: "starts", title: words.starts, number: true, sort: (one) => one.starts_at, cell: (one) => <When at={one.starts_at} /> },
    { id: "ends", title: words.ends, number: true, sort: (one) => one.ends_at, cell: (one) => <When at={one.ends_at} /> },
    { id: "end", title: words.end, quiet: true, cell: (one) => (one.state === "expired" ? null : <End silence={one} reload={reload} />) },
  ];
}

export function SilencesPage() {
  const hurry = useComputed(() => [alertChanges.value, offsetOf()]);
  const list = usePolled(
    (signal) => call("GET /api/v1/monitoring/silences", { query: { limit: LIMIT, offset: offsetOf() }, signal }),
    15_000,
    hurry,
  );
  const adding = useSignal(false);
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <button type="button" class="button primary" onClick={() => (adding.value = true)}>
          {words.add}
        </button>
        <p class="lead muted">{words.lead}</p>
      </div>
      <Loaded resource={list} what={words.title}>
        {(answer) => (
          <>
            <Table
              label={words.title}
              columns={columnsOf(list.retry)}
              rows={answer.items}
              keyOf={(one) => one.id}
              empty={<Empty title={words.emptyTitle} text={words.emptyText} command={{ text: EXAMPLE, label: words.emptyLabel }} />}
            />
            <Pager total={answer.total} limit={LIMIT} />
          </>
        )}
      </Loaded>
      <Dialog open={adding} title={words.add}>
        <Form open={adding} done={list.retry} />
      </Dialog>
    </div>
  );
}

function End({ silence, reload }: { silence: Silence; reload: () => void }) {
  const end = useAction(async () => {
    if (!(await confirm({ title: words.endTitle, text: words.endText, action: words.end }))) return;
    await call("DELETE /api/v1/monitoring/silences/{id}", { path: { id: silence.id } });
    reload();
    return words.ended;
  });
  return (
    <button type="button" class="button small" disabled={end.busy.value} onClick={() => void end.run()}>
      {words.end}
    </button>
  );
}

function Form({ open, done }: { open: Signal<boolean>; done: () => void }) {
  const text = useSignal("");
  const comment = useSignal("");
  const span = useSignal("4h");
  const planned = useSignal(false);
  const lines = useComputed(() => text.value.split("\n").map((line) => line.trim()).filter((line) => line !== ""));
  const save = useAction(async () => {
    await call("POST /api/v1/monitoring/silences", {
      body: { matchers: lines.value, comment: comment.value, duration: span.value, maintenance: planned.value },
    });
    open.value = false;
    done();
    return words.made;
  }, true);
  const hint = useComputed(() => {
    if (lines.value.length === 0) return words.matchersHint;
    const bad = lines.value.find((line) => !parseMatcher(line));
    if (bad !== undefined) return words.badMatcher(bad);
    const matchers = lines.value.flatMap((line) => parseMatcher(line) ?? []);
    return words.matching((active.value ?? []).filter((alert) => matchesAll(matchers, alert.labels)).length);
  });
  const problem = save.problem.value;
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void save.run();
      }}
    >
      <TextField label={words.matchers} hint={hint.value} value={text} rows={3} pointer="/matchers" problem={problem} mono focus required />
      <SelectField label={deeds.span} value={span} options={Object.entries(deeds.spans)} />
      <TextField label={words.comment} hint={deeds.commentHint} value={comment} pointer="/comment" problem={problem} />
      <CheckField label={deeds.maintenance} value={planned} />
      <FormProblem problem={problem} pointers={["/matchers", "/comment"]} />
      <p class="dialog-foot">
        <button type="button" class="button" onClick={() => (open.value = false)}>
          {parts.cancel}
        </button>
        <button type="submit" class="button primary" disabled={save.busy.value}>
          {words.save}
        </button>
      </p>
    </form>
  );
}
