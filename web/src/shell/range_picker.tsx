/** Presets in a row, and a dialog for any other range. The URL holds the choice. */

import { useSignal, type Signal } from "@preact/signals";

import { agentNow } from "../data/live";
import { Dialog } from "../parts/dialog";
import { TextField } from "../parts/form";
import { range, setRange } from "../router";
import { parts, range as words } from "../text";
import { age, clock } from "../text/units";
import { formatBound, lastRange, parseRange, presetOf, PRESETS, resolve, type TimeRange } from "../time/range";

export function wordsOf(wanted: TimeRange): string {
  const preset = PRESETS.find((one) => one.label === presetOf(wanted));
  if (preset) return preset.words;
  const now = agentNow();
  const window = resolve(wanted, now);
  if (wanted.from.kind === "relative" && wanted.to.kind === "relative" && wanted.to.back === 0) {
    return words.last(age(window.to - window.from));
  }
  return words.between(clock(window.from, now), clock(window.to, now));
}

export function RangePicker() {
  const open = useSignal(false);
  const chosen = presetOf(range.value);
  return (
    <div class="range" role="group" aria-label={words.title}>
      {PRESETS.map((preset) => (
        <button
          type="button"
          key={preset.label}
          aria-pressed={preset.label === chosen}
          title={preset.words}
          onClick={() => setRange(lastRange(preset.back))}
        >
          {preset.label}
        </button>
      ))}
      <button
        type="button"
        aria-pressed={chosen === undefined}
        aria-haspopup="dialog"
        title={chosen === undefined ? wordsOf(range.value) : words.other}
        onClick={() => (open.value = true)}
      >
        {words.custom}
      </button>
      <Dialog open={open} title={words.title}>
        <CustomRange open={open} />
      </Dialog>
    </div>
  );
}

/** What the fields show: local time without zone for fixed bounds, else the relative text. */
function editable(wanted: TimeRange): [string, string] {
  const local = (bound: TimeRange["from"]) => {
    if (bound.kind === "relative") return formatBound(bound);
    const date = new Date(bound.at);
    return new Date(bound.at - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace("T", " ");
  };
  return [local(wanted.from), local(wanted.to)];
}

function CustomRange({ open }: { open: Signal<boolean> }) {
  const [first, last] = editable(range.value);
  const from = useSignal(first);
  const to = useSignal(last);
  const refused = useSignal(false);
  const apply = (event: Event) => {
    event.preventDefault();
    const wanted = parseRange(from.value, to.value, agentNow());
    refused.value = !wanted;
    if (!wanted) return;
    setRange(wanted);
    open.value = false;
  };
  return (
    <form class="form" onSubmit={apply}>
      <p class="muted">{words.how}</p>
      <TextField label={words.from} value={from} mono focus />
      <TextField label={words.to} value={to} mono />
      {refused.value && (
        <p class="form-problem" role="alert">
          {words.wrong}
        </p>
      )}
      <p class="dialog-foot">
        <button type="button" class="button" onClick={() => (open.value = false)}>
          {parts.cancel}
        </button>
        <button type="submit" class="button primary">
          {words.show}
        </button>
      </p>
    </form>
  );
}
