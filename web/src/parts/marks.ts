/** Marks of a chart: a thin line across where something happened, its kind as a shape on top. */

import type { Window } from "../time/range";
import type { Mark } from "./plot";

/** A cursor within this share of the window belongs to the mark. */
const NEAR = 0.008;
/** More lines than this would hide the course itself. */
const MOST = 120;

export function nearest(marks: readonly Mark[], at: number, window: Window): Mark | undefined {
  const reach = (window.to - window.from) * NEAR;
  let best: Mark | undefined;
  for (const mark of marks) {
    const away = Math.abs(mark.at - at);
    if (away <= reach && (!best || away < Math.abs(best.at - at))) best = mark;
  }
  return best;
}

/** Triangle, square, diamond, ring: what it is can be told without its colour. */
function shape(to: CanvasRenderingContext2D, kind: Mark["kind"], x: number, y: number, r: number): void {
  to.beginPath();
  if (kind === "alert") {
    to.moveTo(x - r, y - r);
    to.lineTo(x + r, y - r);
    to.lineTo(x, y + r);
  } else if (kind === "breaker") {
    to.rect(x - r, y - r, 2 * r, 2 * r);
  } else if (kind === "failover") {
    to.moveTo(x, y - r);
    to.lineTo(x + r, y);
    to.lineTo(x, y + r);
    to.lineTo(x - r, y);
  } else {
    to.arc(x, y, r, 0, 2 * Math.PI);
  }
  to.closePath();
  to.fill();
}

const INK: Record<Mark["tone"], string> = { ok: "--ok", warn: "--warn-mark", bad: "--bad", off: "--ink-soft" };

export function drawMarks(
  to: CanvasRenderingContext2D,
  marks: readonly Mark[],
  place: (at: number) => number,
  [left, right]: [number, number],
  [top, bottom]: [number, number],
  colour: (name: string) => string,
): void {
  to.save();
  to.lineWidth = 1;
  for (const mark of marks.slice(-MOST)) {
    const x = Math.round(place(mark.at)) + 0.5;
    if (x < left || x > right) continue;
    to.strokeStyle = to.fillStyle = colour(INK[mark.tone]);
    to.globalAlpha = 0.55;
    to.setLineDash([3, 3]);
    to.beginPath();
    to.moveTo(x, top);
    to.lineTo(x, bottom);
    to.stroke();
    to.globalAlpha = 1;
    to.setLineDash([]);
    shape(to, mark.kind, x, top, 3.5);
  }
  to.restore();
}
