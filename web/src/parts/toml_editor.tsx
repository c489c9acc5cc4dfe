/** The text side of a draft. */

import type { Draft } from "./draft";

export function TomlEditor({ draft, label, hint, rows = 16 }: { draft: Draft; label: string; hint: string; rows?: number }) {
  const fault = draft.fault.value;
  return (
    <div class="field toml">
      <label for="toml">{label}</label>
      <textarea
        id="toml"
        class="mono"
        rows={rows}
        spellcheck={false}
        value={draft.text.value}
        aria-describedby="toml-more"
        aria-invalid={fault === "" ? undefined : true}
        onInput={(event) => draft.write(event.currentTarget.value)}
      />
      <p id="toml-more" class={fault === "" ? "hint" : "fault"} role={fault === "" ? undefined : "alert"}>
        {fault || hint}
      </p>
    </div>
  );
}
