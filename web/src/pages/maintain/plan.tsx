/** What a restore would change, and the way to really do it. */

import { call } from "../../data/api";
import { useAction } from "../../parts/action";
import { confirm } from "../../parts/confirm";
import { Warnings } from "../../parts/warnings";
import { When } from "../../parts/when";
import { maintain as words, parts } from "../../text";
import { count, NOTHING } from "../../text/units";
import type { Restoring } from "./backups";

type Plan = Restoring["plan"];

export function PlanView({ id, plan, close }: { id: string; plan: Plan; close: () => void }) {
  const restore = useAction(async () => {
    if (!(await confirm({ title: words.restoreTitle(id), text: words.restoreText, action: words.goOn, word: words.restoreWord }))) return;
    await call("POST /api/v1/backups/{id}/restore", { path: { id }, body: { dry_run: false } });
    close();
    return words.restarting;
  });
  const changed = plan.tables.filter((one) => one.now !== one.backup);
  const remarks = plan.keys_missing.length > 0 ? [words.keysMissing(plan.keys_missing.length)] : [];
  return (
    <div class="form">
      <p class="muted">
        {words.restoreLead}
        {plan.created_at && (
          <>
            {" "}
            {words.restoreOf} <When at={plan.created_at} />.
          </>
        )}
      </p>
      <Warnings texts={remarks} />
      {changed.length === 0 ? (
        <p>{words.same}</p>
      ) : (
        <table class="table">
          <thead>
            <tr>
              <th>{words.restoreColumns.table}</th>
              <th class="number">{words.restoreColumns.now}</th>
              <th class="number">{words.restoreColumns.then}</th>
            </tr>
          </thead>
          <tbody>
            {changed.map((one) => (
              <tr key={one.table}>
                <td>{one.table}</td>
                <td class="number">{one.now === null || one.now === undefined ? NOTHING : count(one.now)}</td>
                <td class="number strong">{count(one.backup)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <ul class="muted small">
        <li>{words.carried(plan.carried.alerts, plan.carried.outbox)}</li>
        {plan.groups.map((one) => (
          <li key={one.group}>{words.epoch(one.group, one.after)}</li>
        ))}
      </ul>
      <p class="dialog-foot">
        <button type="button" class="button" onClick={close}>
          {parts.cancel}
        </button>
        <button type="button" class="button danger" disabled={restore.busy.value} onClick={() => void restore.run()}>
          {words.goOn}
        </button>
      </p>
    </div>
  );
}
