/** A share as a bar; the number always stands beside it, so the bar itself is silent. */

import type { Tone } from "./status";

/** Tone of a share in 0..=100 that is bad when high. */
export function toneOfShare(share: number | null | undefined, warn: number, bad: number): Tone {
  if (share === null || share === undefined) return "off";
  if (share >= bad) return "bad";
  return share >= warn ? "warn" : "ok";
}

export function Meter({ share, tone }: { share: number | null | undefined; tone: Tone }) {
  const width = Math.min(100, Math.max(0, share ?? 0));
  return (
    <span class={`meter ${tone}`} aria-hidden="true">
      <span style={{ width: `${width}%` }} />
    </span>
  );
}
