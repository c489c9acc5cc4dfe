/** Fifty charts of a day, made of the page's own parts: what `benches/page.mjs` scrolls. */

import { render } from "preact";

import { Chart } from "../src/parts/chart";
import { colourAt, type Line, type Plot } from "../src/parts/plot";
import { startTheme } from "../src/shell/theme";
import { plain } from "../src/text/units";

const CHARTS = 50;
const LINES = 4;
/** A day as the page asks for it: 480 points, each with the band of its minutes. */
const POINTS = 480;
const STEP = 180_000;

function wave(chart: number, line: number, offset: number): number[] {
  return Array.from({ length: POINTS }, (_, i) => 10 + line * 4 + 5 * Math.sin((i * (chart + 3)) / 40 + line) + ((i * 7919 + chart * 31) % 13) / 6 + offset);
}

function plotOf(chart: number): Plot {
  const lines = Array.from({ length: LINES }, (_, line): Line => ({
    label: `line ${line + 1}`,
    values: wave(chart, line, 0),
    min: wave(chart, line, -1),
    max: wave(chart, line, 1),
    colour: colourAt(line),
  }));
  return { id: `chart-${chart}`, title: `Chart ${chart + 1}`, format: plain, lines };
}

startTheme();
const to = Math.floor(Date.now() / STEP) * STEP;
const times = Array.from({ length: POINTS }, (_, i) => to - (POINTS - 1 - i) * STEP);
const window = { from: times[0] ?? 0, to };
const plots = Array.from({ length: CHARTS }, (_, chart) => plotOf(chart));

const root = document.getElementById("root");
if (root) {
  render(
    <main class="page">
      <div class="charts">
        {plots.map((plot) => (
          <Chart key={plot.id} plot={plot} times={times} window={window} />
        ))}
      </div>
    </main>,
    root,
  );
}
