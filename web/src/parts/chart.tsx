/**
 * One plot as a uPlot canvas with its legend.
 *
 * The canvas is built once and then only given new values; it is built anew when
 * the set of lines or the theme changes. A chart that is scrolled out of sight is
 * not touched. Legend values are written straight into the page: with a dozen charts
 * sharing one cursor, rendering them would cost more than drawing the lines.
 */

import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";

import { latest, stack, type Value } from "../data/series";
import { resetRange, setRange } from "../router";
import { painted } from "../shell/theme";
import { host } from "../text";
import { clock, NOTHING } from "../text/units";
import { DAY, HOUR, MINUTE, SECOND, zoomTo, type Window } from "../time/range";
import { drawMarks, nearest } from "./marks";
import type { Line, Mark, Plot } from "./plot";

const HEIGHT = 176;
const CURSOR_GROUP = "page";
/** Distances of time ticks, ms; uPlot's own lack two minutes. */
const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12].map((hours) => hours * HOUR),
  ...[1, 2, 7, 14, 28, 91].map((days) => days * DAY),
];
const BINARY_STEPS = Array.from({ length: 60 }, (_, i) => 2 ** i);

export interface ChartProps {
  plot: Plot;
  /** Times of the values, ms. */
  times: number[];
  window: Window;
  /** Resolution of the samples when it is coarser than raw. */
  resolution?: string | undefined;
  /** What happened meanwhile. */
  marks?: readonly Mark[] | undefined;
}

/** The columns uPlot draws: times, then per line its values and, with a band, its edges. */
export function columnsOf(plot: Plot, times: number[]): (number[] | Value[])[] {
  const layers = plot.stacked ? plot.lines.filter((line) => !line.overlay) : [];
  const edges = stack(layers.map((line) => line.values), times.length);
  const columns: (number[] | Value[])[] = [times];
  for (const line of plot.lines) {
    const layer = layers.indexOf(line);
    const values = layer >= 0 ? (edges[layer] ?? []) : line.values;
    columns.push(line.mirrored ? values.map((value) => (value === null ? null : -value)) : values);
    if (hasBand(line)) columns.push(line.max ?? [], line.min ?? []);
  }
  return columns;
}

const hasBand = (line: Line) => line.min !== undefined && line.max !== undefined && line.mirrored !== true;

function shapeOf(plot: Plot): string {
  return plot.lines.map((line) => `${line.label}:${line.colour}:${hasBand(line)}`).join("|");
}

function yRange(plot: Plot): uPlot.Range.Function {
  return (_chart, low, high) => {
    const floor = low < 0 ? low * 1.1 : 0;
    if (plot.ceiling !== undefined) return [floor, Math.max(plot.ceiling, high ?? 0)];
    const top = Math.max((high ?? 0) * 1.1, plot.reach ?? 0);
    return [floor, top > floor ? top : floor + 1];
  };
}

function seriesOf(plot: Plot, colour: (name: string) => string): { series: uPlot.Series[]; bands: uPlot.Band[] } {
  const series: uPlot.Series[] = [{}];
  const bands: uPlot.Band[] = [];
  let below = 0;
  for (const line of plot.lines) {
    const stroke = colour(`--chart-${line.colour}`);
    const layered = plot.stacked === true && line.overlay !== true;
    const one: uPlot.Series = { label: line.label, stroke, width: 1.5, points: { size: 4 } };
    if (line.dashed) one.dash = [5, 3];
    if (line.level) one.points = { show: false };
    if (layered) {
      // Without a line of its own: the edge of an empty layer would hide the one below.
      one.fill = `${stroke}cc`;
      one.width = 0;
    } else if (!line.level && (plot.lines.filter((other) => !other.level).length <= 2 || line.mirrored)) one.fill = `${stroke}1f`;
    series.push(one);
    const place = series.length - 1;
    if (layered) {
      if (below > 0) bands.push({ series: [place, below] });
      below = place;
    }
    if (hasBand(line)) {
      const edge: uPlot.Series = { label: "", stroke: "transparent", width: 0, points: { show: false } };
      series.push(edge, { ...edge });
      bands.push({ series: [place + 1, place + 2], fill: `${stroke}2e` });
    }
  }
  return { series, bands };
}

function optionsFor(
  plot: Plot,
  width: number,
  onCursor: (index: number | null) => void,
  marks: () => readonly Mark[],
): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: colour("--ink-soft"),
    font: `11px ${colour("--font")}`,
    grid: { stroke: colour("--line-faint"), width: 1 },
    ticks: { show: false },
  };
  const { series, bands } = seriesOf(plot, colour);
  const y: uPlot.Axis = {
    ...axis,
    size: 68,
    gap: 6,
    values: (_chart, splits) => splits.map((value) => plot.format(Math.abs(value))),
    space: 34,
  };
  if (plot.binary) y.incrs = BINARY_STEPS;
  return {
    width,
    height: HEIGHT,
    ms: 1,
    padding: [8, 24, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { size: 6 },
      drag: { x: true, y: false, setScale: false },
      sync: { key: CURSOR_GROUP, filters: { pub: (type) => type === "mousemove" || type === "mouseleave", sub: () => true } },
      bind: {
        dblclick: () => () => {
          resetRange();
          return null;
        },
      },
    },
    scales: { x: { time: true, auto: false }, y: { range: yRange(plot) } },
    axes: [{ ...axis, size: 22, gap: 3, space: 52, incrs: TIME_STEPS, values: timeLabels }, y],
    series,
    bands,
    hooks: {
      draw: [(chart) => drawMarks(chart, marks(), colour)],
      setCursor: [(chart) => onCursor(chart.cursor.idx ?? null)],
      setSelect: [
        (chart) => {
          const { left, width: marked } = chart.select;
          if (marked < 4) return;
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          setRange(zoomTo(chart.posToVal(left, "x"), chart.posToVal(left + marked, "x")));
        },
      ],
    },
  };
}

/** Short local times: seconds only when the ticks need them, the date where a day begins. */
function timeLabels(_chart: uPlot, splits: number[], _axis: number, _space: number, increment: number): string[] {
  const two = (value: number) => String(value).padStart(2, "0");
  return splits.map((at) => {
    const date = new Date(at);
    const [hour, minute, second] = [date.getHours(), date.getMinutes(), date.getSeconds()];
    if (hour === 0 && minute === 0 && second === 0) return `${date.getDate()}.${date.getMonth() + 1}.`;
    return increment < 60_000 ? `${two(hour)}:${two(minute)}:${two(second)}` : `${two(hour)}:${two(minute)}`;
  });
}

/** The live parts of one chart, kept between renders. */
class Canvas {
  chart: uPlot | undefined;
  seen = false;
  dirty = true;
  cursor: number | null = null;
  props: ChartProps;
  readonly values: HTMLElement[] = [];
  at: HTMLElement | null = null;
  box: HTMLElement | null = null;
  private built = "";

  constructor(props: ChartProps) {
    this.props = props;
  }

  update(): void {
    this.write();
    if (!this.seen || !this.box) {
      this.dirty = true;
      return;
    }
    this.dirty = false;
    const { plot, times, window } = this.props;
    const shape = `${painted.peek()} ${shapeOf(plot)}`;
    const data = columnsOf(plot, times) as uPlot.AlignedData;
    if (!this.chart || this.built !== shape) {
      this.chart?.destroy();
      this.built = shape;
      const onCursor = (index: number | null) => {
        this.cursor = index;
        this.write();
      };
      this.chart = new uPlot(optionsFor(plot, this.box.clientWidth, onCursor, () => this.props.marks ?? []), data, this.box);
    } else {
      this.chart.setData(data, false);
    }
    this.chart.setScale("x", { min: window.from, max: window.to });
  }

  /** Values at the cursor, else the newest ones. */
  write(): void {
    const { plot, times } = this.props;
    const index = this.cursor;
    plot.lines.forEach((line, i) => {
      const element = this.values[i];
      const value = index === null ? latest(line.values) : (line.values[index] ?? null);
      if (element) element.textContent = plot.format(value);
    });
    if (this.at) {
      const time = index === null ? undefined : times[index];
      const mark = time === undefined ? undefined : nearest(this.props.marks ?? [], time, this.props.window);
      const said = time === undefined ? "" : clock(time, Date.now());
      this.at.textContent = mark ? `${mark.text} \u00b7 ${clock(mark.at, Date.now())}` : said;
    }
    if (index === null) this.box?.setAttribute("aria-label", this.summary());
  }

  private summary(): string {
    const { plot } = this.props;
    const parts = plot.lines.map((line) => {
      const value = latest(line.values);
      return `${line.label} ${value === null ? "no value" : plot.format(value)}`;
    });
    return `${plot.title}: ${parts.join(", ") || NOTHING}`;
  }
}

export function Chart(props: ChartProps) {
  const canvas = useMemo(() => new Canvas(props), []);
  const box = useRef<HTMLDivElement>(null);
  canvas.props = props;
  const look = painted.value;
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    canvas.box = element;
    const size = new ResizeObserver(() => {
      if (element.clientWidth > 0) canvas.chart?.setSize({ width: element.clientWidth, height: HEIGHT });
    });
    const sight = new IntersectionObserver(
      (entries) => {
        canvas.seen = entries.at(-1)?.isIntersecting === true;
        if (canvas.seen && canvas.dirty) canvas.update();
      },
      { rootMargin: "200px" },
    );
    size.observe(element);
    sight.observe(element);
    return () => {
      size.disconnect();
      sight.disconnect();
      canvas.chart?.destroy();
      canvas.chart = undefined;
    };
  }, []);
  useEffect(() => canvas.update(), [props.plot, props.times, props.window, props.marks, look]);
  return (
    <figure class={`card chart${props.plot.wide ? " wide" : ""}`} data-chart={props.plot.id}>
      <figcaption>
        <h3>{props.plot.title}</h3>
        {props.plot.note !== undefined && <span class="muted">{props.plot.note}</span>}
        <time class="chart-at" ref={(element) => void (canvas.at = element)} />
        {props.resolution !== undefined && (
          <span class="badge" title={host.resolution}>
            {props.resolution}
          </span>
        )}
      </figcaption>
      <div class="plot" ref={box} role="img" aria-label={props.plot.title} />
      <Legend plot={props.plot} canvas={canvas} />
    </figure>
  );
}

function Legend({ plot, canvas }: { plot: Plot; canvas: Canvas }) {
  useEffect(() => canvas.write());
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
              if (element) canvas.values[i] = element;
            }}
          />
        </li>
      ))}
    </ul>
  );
}
