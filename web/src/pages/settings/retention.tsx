/** How long history is kept, and what room that takes, before it is saved. */

import { useComputed, useSignal, type Signal } from "@preact/signals";

import type { Config } from "../../data/config";
import { system } from "../../data/live";
import type { Resource } from "../../data/poll";
import { parseSize, rawInside, roomOf } from "../../data/retention";
import { Facts } from "../../parts/facts";
import { FormProblem, SelectField, TextField } from "../../parts/form";
import { settings as words } from "../../text";
import { bytes, count, duration, NOTHING, parseSpan, significant } from "../../text/units";
import { useApply, valueAt } from "./apply";

const KEYS = ["storage.cap", "storage.raw_retention", "storage.minute_retention", "storage.hour_retention", "storage.max_series", "storage.profile"] as const;
type Key = (typeof KEYS)[number];
const pointerOf = (key: Key) => `/${key.replaceAll(".", "/")}`;

export function Retention({ config, held }: { config: Resource<Config>; held: Config }) {
  const text = (key: Key) => String(valueAt(held, key) ?? "");
  const fields = Object.fromEntries(KEYS.map((key) => [key, useSignal(text(key))])) as Record<Key, Signal<string>>;
  const apply = useApply(config);
  const changed = KEYS.filter((key) => fields[key].value !== text(key));
  const at = (key: Key) => ({ value: fields[key], pointer: pointerOf(key), problem: apply.problem.value });
  const save = () => {
    const number = (key: Key) => (key === "storage.max_series" ? Number(fields[key].value) : fields[key].value);
    void apply.run(Object.fromEntries(changed.map((key) => [key, number(key)])));
  };
  return (
    <div class="columns">
      <form
        class="card pad form"
        aria-label={words.tabs.retention}
        onSubmit={(event) => {
          event.preventDefault();
          save();
        }}
      >
        <TextField label={words.cap} hint={words.capHint} {...at("storage.cap")} />
        <div class="fields">
          <TextField label={words.raw} hint={words.spanHint} {...at("storage.raw_retention")} />
          <TextField label={words.minute} {...at("storage.minute_retention")} />
          <TextField label={words.hour} {...at("storage.hour_retention")} />
        </div>
        <TextField label={words.maxSeries} type="number" {...at("storage.max_series")} />
        <SelectField label={words.profile} options={Object.entries(words.profiles)} {...at("storage.profile")} />
        <FormProblem problem={apply.problem.value} pointers={KEYS.map(pointerOf)} />
        <p class="dialog-foot">
          <button type="submit" class="button primary" disabled={changed.length === 0 || apply.busy.value}>
            {words.save}
          </button>
        </p>
      </form>
      <Room fields={fields} />
    </div>
  );
}

function Room({ fields }: { fields: Record<Key, { value: string }> }) {
  const found = useComputed(() => {
    const store = system.value?.store;
    const [raw, minute, hour] = [parseSpan(fields["storage.raw_retention"].value), parseSpan(fields["storage.minute_retention"].value), parseSpan(fields["storage.hour_retention"].value)];
    const cap = parseSize(fields["storage.cap"].value);
    if (!store || !system.value || raw === undefined || minute === undefined || hour === undefined || cap === undefined) return undefined;
    const measured = { pace: store.samples_appended_total / Math.max(1, system.value.uptime_seconds), series: store.series };
    const kept = { raw, minute, hour };
    return { store, measured, kept, cap, room: roomOf(measured, kept), inside: rawInside(measured, kept, cap) };
  });
  const here = found.value;
  return (
    <section class="card pad" aria-live="polite">
      <h2>{words.roomTitle}</h2>
      <Facts
        items={[
          [words.roomUsed, here && words.ofCap(bytes(here.store.used_bytes), bytes(here.store.cap_bytes))],
          [words.roomRaw, here ? bytes(here.room.raw) : NOTHING],
          [words.roomMinute, here ? bytes(here.room.minute) : NOTHING],
          [words.roomHour, here ? bytes(here.room.hour) : NOTHING],
          [words.roomTotal, <strong>{here ? bytes(here.room.total) : NOTHING}</strong>],
        ]}
      />
      {here ? (
        <p class={here.inside < here.kept.raw ? "fault" : "hint"}>
          {here.inside < here.kept.raw ? words.roomShort(duration(here.inside)) : words.roomFits}{" "}
          {words.roomPace(significant(here.measured.pace), count(here.measured.series))}
        </p>
      ) : (
        <p class="hint">{words.wrongSpan}</p>
      )}
    </section>
  );
}
