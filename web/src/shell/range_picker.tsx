/** Presets in a row, and a dialog for any other range. The URL holds the choice. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { agentNow } from "../data/live";
import { range, setRange } from "../router";
import { age, clock } from "../text/units";
import { formatBound, lastRange, parseRange, presetOf, PRESETS, resolve, type TimeRange } from "../time/range";

export function wordsOf(wanted: TimeRange): string {
  const preset = PRESETS.find((one) => one.label === presetOf(wanted));
  if (preset) return preset.words;
  const now = agentNow();
  const window = resolve(wanted, now);
  if (wanted.from.kind === "relative" && wanted.to.kind === "relative" && wanted.to.back === 0) {
    return `Last ${age(window.to - window.from)}`;
  }
  return `${clock(window.from, now)} to ${clock(window.to, now)}`;
}

export function RangePicker() {
  const dialog = useRef<HTMLDialogElement>(null);
  const chosen = presetOf(range.value);
  return (
    <div class="range" role="group" aria-label="Time range">
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
        title={chosen === undefined ? wordsOf(range.value) : "Any other range"}
        onClick={() => dialog.current?.showModal()}
      >
        Custom
      </button>
      <CustomRange dialog={dialog} />
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

function CustomRange({ dialog }: { dialog: { readonly current: HTMLDialogElement | null } }) {
  const from = useSignal("");
  const to = useSignal("");
  const problem = useSignal("");
  useEffect(() => {
    [from.value, to.value] = editable(range.value);
  }, [range.value]);
  const apply = (event: Event) => {
    event.preventDefault();
    const wanted = parseRange(from.value, to.value, agentNow());
    if (!wanted) {
      problem.value = "This makes no range: use now, now-2h or 2026-01-31 14:30, at least 10 s and in order.";
      return;
    }
    problem.value = "";
    setRange(wanted);
    dialog.current?.close();
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="range-title">
      <form onSubmit={apply}>
        <h2 id="range-title">Time range</h2>
        <p class="muted">Relative to now (now-90s, now-2h, now-3d) or a local time (2026-01-31 14:30).</p>
        <label>
          From
          <input value={from.value} onInput={(e) => (from.value = e.currentTarget.value)} spellcheck={false} autocomplete="off" />
        </label>
        <label>
          To
          <input value={to.value} onInput={(e) => (to.value = e.currentTarget.value)} spellcheck={false} autocomplete="off" />
        </label>
        {problem.value !== "" && (
          <p class="form-problem" role="alert">
            {problem.value}
          </p>
        )}
        <p class="dialog-foot">
          <button type="button" class="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="button primary">
            Show
          </button>
        </p>
      </form>
    </dialog>
  );
}
