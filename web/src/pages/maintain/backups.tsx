/** Backups: made, verified, restored, deleted. What a restore would change is seen before it is asked for. */

import { useComputed, useSignal, type Signal } from "@preact/signals";

import { call, type Answer } from "../../data/api";
import { usePolled } from "../../data/poll";
import { useAction } from "../../parts/action";
import { confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Either } from "../../parts/either";
import { Empty } from "../../parts/empty";
import { Loaded } from "../../parts/loaded";
import { Table, type Column } from "../../parts/table";
import { When } from "../../parts/when";
import { href } from "../../router";
import { maintain as words } from "../../text";
import { bytes } from "../../text/units";
import { PlanView } from "./plan";
import { VerdictView, type Verdict } from "./verdict";

export type Backup = Answer<"GET /api/v1/backups">["items"][number];
export type Restoring = Answer<"POST /api/v1/backups/{id}/restore">;

/** What a dialog is open for. */
type Shown = { kind: "verdict"; id: string; verdict: Verdict } | { kind: "plan"; id: string; restoring: Restoring };

export function Backups() {
  const list = usePolled((signal) => call("GET /api/v1/backups", { query: { limit: 1000 }, signal }), 30_000);
  const shown = useSignal<Shown | undefined>(undefined);
  const open = useComputed(() => shown.value !== undefined);
  const close = () => (shown.value = undefined);
  const create = useAction(async () => {
    const made = await call("POST /api/v1/backups", { body: {} });
    list.retry();
    return words.created(made.id, bytes(made.bytes));
  });
  const here = shown.value;
  return (
    <>
      <div class="head-row">
        <p class="muted grow">
          {words.backupsLead} <a href={href("/settings", { section: "backup" })}>{words.schedule}</a>
        </p>
        <button type="button" class="button primary" disabled={create.busy.value} onClick={() => void create.run()}>
          <Either busy={create.busy.value} rest={words.create} work={words.creating} />
        </button>
      </div>
      <Loaded resource={list} what={words.tabs.backups}>
        {(answer) => (
          <>
            {answer.problem && <p class="muted">{words.notThere(answer.problem)}</p>}
            <Table
              label={words.tabs.backups}
              columns={columnsOf(shown, list.retry)}
              rows={answer.items}
              keyOf={(one) => one.id}
              empty={<Empty title={words.noBackupsTitle} text={words.noBackups} />}
            />
          </>
        )}
      </Loaded>
      <Dialog open={open} onClose={close} title={here?.kind === "plan" ? words.restoreTitle(here.id) : words.verifyTitle(here?.id ?? "")} kind="wide">
        {here?.kind === "verdict" && <VerdictView verdict={here.verdict} close={close} />}
        {here?.kind === "plan" && <PlanView id={here.id} plan={here.restoring.plan} close={close} />}
      </Dialog>
    </>
  );
}

function columnsOf(shown: Signal<Shown | undefined>, reload: () => void): Column<Backup>[] {
  return [
    {
      id: "made",
      title: words.backupColumns.made,
      head: true,
      wide: true,
      sort: (one) => one.created_at,
      cell: (one) => (
        <>
          <strong>
            <When at={one.created_at} />
          </strong>{" "}
          {one.sealed && <span class="tag">{words.sealed}</span>}
          <code class="second">{one.id}</code>
        </>
      ),
    },
    { id: "size", title: words.backupColumns.size, number: true, sort: (one) => one.bytes, cell: (one) => bytes(one.bytes) },
    { id: "where", title: words.backupColumns.where, cell: (one) => one.places.map((place) => words.places[place]).join(", ") },
    { id: "by", title: words.backupColumns.by, sort: (one) => one.by, cell: (one) => one.by },
    { id: "version", title: words.backupColumns.version, sort: (one) => one.version, cell: (one) => one.version },
    { id: "deeds", title: words.restore, quiet: true, cell: (one) => <Deeds one={one} shown={shown} reload={reload} /> },
  ];
}

function Deeds({ one: { id }, shown, reload }: { one: Backup; shown: Signal<Shown | undefined>; reload: () => void }) {
  const path = { id };
  const verify = useAction(async () => {
    shown.value = { kind: "verdict", id, verdict: await call("POST /api/v1/backups/{id}/verify", { path, body: {} }) };
  });
  const plan = useAction(async () => {
    shown.value = { kind: "plan", id, restoring: await call("POST /api/v1/backups/{id}/restore", { path, body: { dry_run: true } }) };
  });
  const remove = useAction(async () => {
    if (!(await confirm({ title: words.removeTitle, text: words.removeText(id), action: words.remove }))) return;
    await call("DELETE /api/v1/backups/{id}", { path });
    reload();
    return words.removed(id);
  });
  return (
    <span class="row-actions">
      <button type="button" class="button small primary" aria-label={words.verifyOne(id)} disabled={verify.busy.value} onClick={() => void verify.run()}>
        <Either busy={verify.busy.value} rest={words.verify} work={words.verifying} />
      </button>
      <button type="button" class="button small" aria-label={words.restoreOne(id)} disabled={plan.busy.value} onClick={() => void plan.run()}>
        {words.restore}
      </button>
      <a class="button small" href={`/api/v1/backups/${id}/file`} download aria-label={words.downloadOne(id)}>
        {words.download}
      </a>
      <button type="button" class="button small" aria-label={words.removeOne(id)} disabled={remove.busy.value} onClick={() => void remove.run()}>
        {words.remove}
      </button>
    </span>
  );
}
