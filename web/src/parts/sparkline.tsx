/** A small line without axes, for a trend beside its figure. Gaps stay gaps. */

import type { Value } from "../data/series";
import { HEIGHT, pathOf, WIDTH } from "./path";
import type { Colour } from "./plot";


export interface Spark {
  values: readonly Value[];
  colour: Colour;
}

export function Sparkline({ lines, ceiling, reach }: { lines: readonly Spark[]; ceiling?: number; reach?: number }) {
  const highest = Math.max(reach ?? 0, ...lines.flatMap((line) => line.values.map((value) => value ?? 0)));
  const top = ceiling ?? (highest > 0 ? highest * 1.08 : 1);
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
      <path class="spark-base" d={`M0 ${HEIGHT - 0.5}H${WIDTH}`} />
      {lines.map((line, i) => (
        <path key={i} class={`spark-line s${line.colour}`} d={pathOf(line.values, top)} />
      ))}
    </svg>
  );
}
