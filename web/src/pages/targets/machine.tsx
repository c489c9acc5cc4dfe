/**
 * A breaker drawn as the machine it is: its states, what leads from one to the next, where
 * it stands. The states that only an operator sets lie below, with a way in and out.
 */

import type { Breaker, BreakerState } from "../../data/types";
import { breaker as words } from "../../text";

interface Box {
  state: BreakerState;
  x: number;
  y: number;
  w: number;
}

const HEIGHT = 38;
const BOXES: readonly Box[] = [
  { state: "closed", x: 4, y: 30, w: 112 },
  { state: "open", x: 264, y: 30, w: 112 },
  { state: "half_open", x: 134, y: 140, w: 112 },
  { state: "forced_open", x: 4, y: 224, w: 118 },
  { state: "disabled", x: 131, y: 224, w: 118 },
  { state: "metrics_only", x: 258, y: 224, w: 118 },
];

interface Edge {
  from: BreakerState;
  to: BreakerState;
  path: string;
  /** Its words: at x, y, and where they are anchored. */
  at: [x: number, y: number, anchor: "start" | "middle" | "end"];
  text: string;
}

const EDGES: readonly Edge[] = [
  { from: "closed", to: "open", path: "M116 42H258", at: [188, 34, "middle"], text: words.edges.trip },
  { from: "open", to: "half_open", path: "M336 68V159H252", at: [318, 178, "middle"], text: words.edges.wait },
  { from: "half_open", to: "closed", path: "M134 159H60V74", at: [68, 178, "middle"], text: words.edges.close },
  { from: "half_open", to: "open", path: "M190 140V100H290V74", at: [224, 92, "middle"], text: words.edges.again },
];

export function Machine({ breaker }: { breaker: Breaker }) {
  const last = breaker.transitions[0];
  return (
    <svg class="machine" viewBox="0 14 380 254" role="img" aria-label={words.drawn(words.states[breaker.state])}>
      <defs>
        <marker id="arrow" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">
          <path d="M0 0 8 4 0 8z" />
        </marker>
      </defs>
      {EDGES.map((edge) => {
        const taken = last?.from === edge.from && last.to === edge.to;
        return (
          <g key={`${edge.from} ${edge.to}`} class={taken ? "edge taken" : "edge"}>
            <path d={edge.path} marker-end="url(#arrow)" />
            <text x={edge.at[0]} y={edge.at[1]} text-anchor={edge.at[2]}>
              {edge.text}
            </text>
          </g>
        );
      })}
      <text class="machine-note" x="190" y="214" text-anchor="middle">
        {words.operator}
      </text>
      {BOXES.map(({ state, x, y, w }) => (
        <g key={state} class={`state ${state}${state === breaker.state ? " here" : ""}`}>
          <rect x={x} y={y} width={w} height={HEIGHT} rx="6" />
          <text x={x + w / 2} y={y + 24} text-anchor="middle">
            {words.states[state]}
          </text>
        </g>
      ))}
    </svg>
  );
}
