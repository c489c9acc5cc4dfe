/** What the agent remarks about an answer that it gave all the same. */

import { parts } from "../text";
import { Shape } from "./status";

export function Warnings({ texts }: { texts: readonly string[] | undefined }) {
  if (!texts || texts.length === 0) return null;
  return (
    <div class="warnings" role="note" aria-label={parts.warnings}>
      {[...new Set(texts)].map((text) => (
        <p key={text}>
          <Shape tone="warn" /> {text}
        </p>
      ))}
    </div>
  );
}
