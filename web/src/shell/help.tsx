/** The keys, and what the marks mean. */

import { KEYS, HELP_ID, toggleHelp } from "./keyboard";

export function Help() {
  return (
    <dialog id={HELP_ID} class="dialog" aria-labelledby="help-title">
      <h2 id="help-title">Keys and charts</h2>
      <dl class="keys">
        {KEYS.map((key) => (
          <div key={key.key}>
            <dt>
              <kbd>{key.key}</kbd>
            </dt>
            <dd>{key.words}</dd>
          </div>
        ))}
        <div>
          <dt>drag</dt>
          <dd>Zoom all charts into the marked time</dd>
        </div>
        <div>
          <dt>double click</dt>
          <dd>Back to the live range</dd>
        </div>
      </dl>
      <p class="muted">
        A break in a line means that there is no sample, never zero. Where a step is coarser than the samples, the
        band spans the smallest to the largest one.
      </p>
      <p class="dialog-foot">
        <button type="button" class="button primary" onClick={toggleHelp}>
          Close
        </button>
      </p>
    </dialog>
  );
}
