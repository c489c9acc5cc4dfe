/** When only what is critical may disturb. */

import { useSignal } from "@preact/signals";

import type { Config } from "../../data/config";
import type { Resource } from "../../data/poll";
import { FormProblem, TextField } from "../../parts/form";
import { Pill } from "../../parts/status";
import { settings as words } from "../../text";
import { useApply, valueAt } from "./apply";

const POINTERS = ["/quiet_hours/from", "/quiet_hours/to", "/quiet_hours/timezone"];

export function QuietHours({ config, held }: { config: Resource<Config>; held: Config }) {
  const text = (key: string) => String(valueAt(held, `quiet_hours.${key}`) ?? "");
  const [from, to, zone] = [useSignal(text("from")), useSignal(text("to")), useSignal(text("timezone"))];
  const given = valueAt(held, "quiet_hours.days");
  const days = useSignal<readonly string[]>(Array.isArray(given) ? (given as string[]) : []);
  const apply = useApply(config);
  const problem = apply.problem.value;
  const on = text("from") !== "" && text("to") !== "";
  const save = () =>
    void apply.run({
      "quiet_hours.from": from.value || null,
      "quiet_hours.to": to.value || null,
      "quiet_hours.timezone": zone.value || null,
      "quiet_hours.days": [...days.value],
    });
  const off = async () => {
    if (await apply.run({ "quiet_hours.from": null, "quiet_hours.to": null })) from.value = to.value = "";
  };
  return (
    <form
      class="card pad form narrow-form"
      aria-label={words.tabs.quiet}
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <p>
        <Pill tone={on ? "ok" : "off"}>{on ? words.quietNow(text("from"), text("to")) : words.quietNone}</Pill>
      </p>
      <p class="muted">{words.quietLead}</p>
      <div class="fields">
        <TextField label={words.from} value={from} placeholder="22:00" pointer="/quiet_hours/from" problem={problem} />
        <TextField label={words.to} value={to} placeholder="07:00" pointer="/quiet_hours/to" problem={problem} />
        <TextField label={words.zone} hint={words.zoneHint} value={zone} pointer="/quiet_hours/timezone" problem={problem} />
      </div>
      <fieldset class="levels days">
        <legend>{words.days}</legend>
        <div class="tags">
          {Object.entries(words.dayNames).map(([day, name]) => (
            <label key={day} class="check">
              <input
                type="checkbox"
                checked={days.value.includes(day)}
                onChange={(event) => {
                  const rest = days.value.filter((one) => one !== day);
                  days.value = event.currentTarget.checked ? [...rest, day] : rest;
                }}
              />
              {name}
            </label>
          ))}
        </div>
        <p class="hint">{words.everyDay}</p>
      </fieldset>
      <FormProblem problem={problem} pointers={POINTERS} />
      <p class="dialog-foot">
        {on && (
          <button type="button" class="button" disabled={apply.busy.value} onClick={() => void off()}>
            {words.quietOff}
          </button>
        )}
        <button type="submit" class="button primary" disabled={apply.busy.value}>
          {words.save}
        </button>
      </p>
    </form>
  );
}
