/** Lines to copy: a configuration snippet or a command. */

import { useSignal } from "@preact/signals";

import { parts } from "../text";
import { Icon } from "./icon";

export function Command({ text, label }: { text: string; label: string }) {
  const copied = useSignal(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      copied.value = true;
    } catch {
      // Without a secure context there is no clipboard; the text can still be selected.
      copied.value = false;
    }
  };
  return (
    <div class="command">
      <button type="button" class="icon-button" onClick={() => void copy()} aria-label={parts.copy(label)}>
        <Icon name={copied.value ? "check" : "copy"} size={16} />
      </button>
      <pre>
        <code>{text}</code>
      </pre>
      <span class="visually-hidden" role="status">
        {copied.value ? parts.copied : ""}
      </span>
    </div>
  );
}
