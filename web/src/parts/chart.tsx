/** One plot: its title, its surface, its legend. See the surface for how it is drawn. */

import { useEffect, useMemo, useRef } from "preact/hooks";

import { painted } from "../shell/theme";
import { host } from "../text";
import type { Plot } from "./plot";
import { Surface, type Shown } from "./surface";

export interface ChartProps extends Shown {
  /** Resolution of the samples when it is coarser than raw. */
  resolution?: string | undefined;
}

export function Chart(props: ChartProps) {
  const surface = useMemo(() => new Surface(props), []);
  const box = useRef<HTMLDivElement>(null);
  surface.shown = props;
  const look = painted.value;
  useEffect(() => box.current ? surface.attach(box.current) : undefined, []);
  useEffect(() => surface.update(), [props.plot, props.times, props.window, props.marks, look]);
  return (
    <figure class={`card chart${props.plot.wide ? " wide" : ""}`} data-chart={props.plot.id}>
      <figcaption>
        <h3>{props.plot.title}</h3>
        {props.plot.note !== undefined && <span class="muted">{props.plot.note}</span>}
        <time class="chart-at" ref={(element) => void (surface.at = element)} />
        {props.resolution !== undefined && (
          <span class="badge" title={host.resolution}>
            {props.resolution}
          </span>
        )}
      </figcaption>
      <div class="plot" ref={box} role="img" aria-label={props.plot.title} />
      <Legend plot={props.plot} surface={surface} />
    </figure>
  );
}

function Legend({ plot, surface }: { plot: Plot; surface: Surface }) {
  useEffect(() => surface.write());
  return (
    <ul class="legend">
      {plot.lines.map((line, i) => (
        <li key={line.label}>
          <span class={`swatch c${line.colour}${line.dashed ? " dashed" : ""}`} aria-hidden="true" />
          <span class="legend-label" title={line.label}>
            {line.label}
          </span>
          <span
            class="legend-value"
            ref={(element) => {
              if (element) surface.values[i] = element;
            }}
          />
        </li>
      ))}
    </ul>
  );
}
