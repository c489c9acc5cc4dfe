/** Draws a scene: grid, areas, bands, lines, marks. Sizes in CSS pixels; the caller has scaled the context. */

import type { Value } from "../data/series";
import type { Format } from "../text/units";
import type { Window } from "../time/range";
import { drawMarks } from "./marks";
import type { Mark } from "./plot";
import { runs, type Layer, type Scene } from "./scene";
import { timeTicks, valueTicks } from "./ticks";

/** The plot inside its canvas: room for labels on the left and below. */
export const LEFT = 66;
export const RIGHT = 14;
export const TOP = 10;
export const BOTTOM = 20;

const LABEL_WIDTH = 64;
const LABEL_HEIGHT = 36;

export interface Frame {
  scene: Scene;
  times: readonly number[];
  window: Window;
  width: number;
  height: number;
  marks: readonly Mark[];
  format: Format;
  binary: boolean;
  /** Value of a custom property of the style sheet. */
  colour: (name: string) => string;
}

export interface Places {
  x: (at: number) => number;
  y: (value: number) => number;
}

export function placesOf(frame: Pick<Frame, "scene" | "window" | "width" | "height">): Places {
  const { window, width, height, scene } = frame;
  const across = (width - LEFT - RIGHT) / Math.max(1, window.to - window.from);
  const up = (height - TOP - BOTTOM) / (scene.high - scene.low);
  return {
    x: (at) => LEFT + (at - window.from) * across,
    y: (value) => height - BOTTOM - (value - scene.low) * up,
  };
}

export function draw(to: CanvasRenderingContext2D, frame: Frame): void {
  const places = placesOf(frame);
  to.clearRect(0, 0, frame.width, frame.height);
  grid(to, frame, places);
  to.save();
  to.beginPath();
  to.rect(LEFT, TOP - 2, frame.width - LEFT - RIGHT, frame.height - TOP - BOTTOM + 4);
  to.clip();
  to.lineJoin = "bevel";
  for (const layer of frame.scene.layers) paint(to, layer, frame, places);
  to.restore();
  drawMarks(to, frame.marks, places.x, [LEFT, frame.width - RIGHT], [TOP, frame.height - BOTTOM], frame.colour);
}

function grid(to: CanvasRenderingContext2D, frame: Frame, { x, y }: Places): void {
  const { width, height, scene, colour } = frame;
  const [right, bottom] = [width - RIGHT, height - BOTTOM];
  to.font = `11px ${colour("--font")}`;
  to.fillStyle = colour("--ink-soft");
  to.strokeStyle = colour("--line-faint");
  to.lineWidth = 1;
  to.beginPath();
  to.textAlign = "right";
  to.textBaseline = "middle";
  for (const value of valueTicks(scene.low, scene.high, (bottom - TOP) / LABEL_HEIGHT, frame.binary)) {
    const at = Math.round(y(value)) + 0.5;
    to.moveTo(LEFT, at);
    to.lineTo(right, at);
    to.fillText(frame.format(Math.abs(value)), LEFT - 8, at);
  }
  to.textAlign = "center";
  to.textBaseline = "alphabetic";
  for (const { at, label } of timeTicks(frame.window, Math.max(3, Math.floor((right - LEFT) / LABEL_WIDTH)))) {
    const place = Math.round(x(at)) + 0.5;
    to.moveTo(place, TOP);
    to.lineTo(place, bottom);
    // The outermost labels stay on the canvas.
    to.fillText(label, Math.min(Math.max(place, 20), width - 20), height - 5);
  }
  to.stroke();
}

function paint(to: CanvasRenderingContext2D, layer: Layer, frame: Frame, places: Places): void {
  const stroke = frame.colour(`--chart-${layer.colour}`);
  const { x, y } = places;
  const { times } = frame;
  if (layer.band) {
    to.fillStyle = `${stroke}2e`;
    area(to, times, layer.band.max, layer.band.min, places);
  }
  if (layer.fill !== "none") {
    to.fillStyle = stroke + (layer.fill === "layer" ? "cc" : "1f");
    area(to, times, layer.values, layer.base, places);
  }
  // Without a line of its own: the edge of an empty layer would hide the one below.
  if (layer.fill === "layer") return;
  to.strokeStyle = to.fillStyle = stroke;
  to.lineWidth = 1.5;
  to.setLineDash(layer.line.dashed ? [5, 3] : []);
  const point = (i: number): [number, number] => [x(times[i] ?? 0), y(layer.values[i] ?? 0)];
  to.beginPath();
  for (const [first, last] of runs(layer.values)) {
    to.moveTo(...point(first));
    for (let i = first + 1; i <= last; i += 1) to.lineTo(...point(i));
  }
  to.stroke();
  to.setLineDash([]);
  // A value alone between gaps would be no line at all.
  for (const [first, last] of runs(layer.values)) if (first === last) dot(to, ...point(first));
}

export function dot(to: CanvasRenderingContext2D, x: number, y: number, radius = 2): void {
  to.beginPath();
  to.arc(x, y, radius, 0, 2 * Math.PI);
  to.fill();
}

/** Fills between two courses; without a lower one, down to zero. */
function area(to: CanvasRenderingContext2D, times: readonly number[], upper: readonly Value[], lower: readonly Value[] | undefined, { x, y }: Places): void {
  for (const [first, last] of runs(upper)) {
    to.beginPath();
    for (let i = first; i <= last; i += 1) to.lineTo(x(times[i] ?? 0), y(upper[i] ?? 0));
    for (let i = last; i >= first; i -= 1) to.lineTo(x(times[i] ?? 0), y(lower?.[i] ?? 0));
    to.fill();
  }
}
