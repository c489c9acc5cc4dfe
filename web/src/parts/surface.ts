/**
 * The live parts of one chart, kept between renders: a canvas with the lines, and one above
 * it with what moves under the pointer. All surfaces of the page share one cursor.
 *
 *     idle --press--> pressed --moved 4 px--> marking --release--> the range is set
 *
 * A chart that is scrolled out of sight is not drawn, and those that come into sight are
 * drawn one a frame, before they are seen, so that scrolling stays smooth. Legend values
 * are written straight into the page: with a dozen charts sharing a cursor, rendering them
 * would cost more than drawing the lines.
 */

import { latest } from "../data/series";
import { resetRange, setRange } from "../router";
import { clock, NOTHING } from "../text/units";
import { zoomTo, type Window } from "../time/range";
import { BOTTOM, dot, draw, LEFT, placesOf, RIGHT, TOP, type Frame } from "./canvas";
import { nearest } from "./marks";
import type { Mark, Plot } from "./plot";
import { closest, sceneOf } from "./scene";

export const HEIGHT = 176;
/** A press that moves less is a press, px. */
const SLACK = 4;

export interface Shown {
  plot: Plot;
  /** Times of the values, ms. */
  times: number[];
  window: Window;
  /** What happened meanwhile. */
  marks?: readonly Mark[] | undefined;
  /** It has a time of its own: a drag does not change the range of the page. */
  still?: boolean;
}

/** Charts are drawn when they are this near to the window. */
const NEAR = "600px";
const surfaces = new Set<Surface>();
/** In or near sight, and not drawn as they are now. */
const due = new Set<Surface>();

/** One a frame: what drawing costs comes after the script, when the browser fills the canvas. */
function drawDue(): void {
  const [first] = due;
  if (!first) return;
  due.delete(first);
  first.update();
  if (due.size > 0) requestAnimationFrame(drawDue);
}

function soon(surface: Surface): void {
  if (due.size === 0) requestAnimationFrame(drawDue);
  due.add(surface);
}

function point(at: number | undefined): void {
  for (const surface of surfaces) surface.point(at);
}

export class Surface {
  shown: Shown;
  readonly values: HTMLElement[] = [];
  at: HTMLElement | null = null;
  box: HTMLElement | null = null;
  private readonly below = document.createElement("canvas");
  private readonly above = document.createElement("canvas");
  private seen = false;
  private dirty = true;
  private frame: Frame | undefined;
  private cursor: number | undefined;
  private pressed: number | undefined;
  private marked: number | undefined;

  constructor(shown: Shown) {
    this.shown = shown;
    this.above.className = "plot-over";
  }

  /** Puts it on the page; the answer takes it away again. */
  attach(box: HTMLElement): () => void {
    this.box = box;
    box.append(this.below, this.above);
    surfaces.add(this);
    const size = new ResizeObserver(() => this.update());
    const sight = new IntersectionObserver(
      (entries) => {
        this.seen = entries.at(-1)?.isIntersecting === true;
        if (this.seen && this.dirty) soon(this);
      },
      { rootMargin: NEAR },
    );
    size.observe(box);
    sight.observe(box);
    this.listen();
    return () => {
      surfaces.delete(this);
      due.delete(this);
      size.disconnect();
      sight.disconnect();
    };
  }

  update(): void {
    this.write();
    const width = this.box?.clientWidth ?? 0;
    this.dirty = !this.seen || width === 0;
    if (this.dirty) return;
    const { plot, times, window, marks = [] } = this.shown;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const scene = sceneOf(plot, times, window);
    this.frame = { scene, times, window, width, height: HEIGHT, marks, format: plot.format, binary: plot.binary === true, colour };
    const context = sized(this.below, width, HEIGHT);
    if (context) draw(context, this.frame);
    this.drawCursor();
  }

  /** Shows the values at a time, or the newest ones. */
  point(at: number | undefined): void {
    this.cursor = at === undefined ? undefined : closest(this.shown.times, at);
    this.write();
    if (this.seen) this.drawCursor();
  }

  write(): void {
    const { plot, times, window, marks = [] } = this.shown;
    const index = this.cursor;
    plot.lines.forEach((line, i) => {
      const element = this.values[i];
      const value = index === undefined ? latest(line.values) : (line.values[index] ?? null);
      const said = plot.format(value);
      if (element && element.textContent !== said) element.textContent = said;
    });
    const time = index === undefined ? undefined : times[index];
    if (this.at) {
      const mark = time === undefined ? undefined : nearest(marks, time, window);
      const said = time === undefined ? "" : clock(time, Date.now());
      this.at.textContent = mark ? `${mark.text} \u00b7 ${clock(mark.at, Date.now())}` : said;
    }
    if (index === undefined) this.box?.setAttribute("aria-label", this.summary());
  }

  private summary(): string {
    const { plot } = this.shown;
    const parts = plot.lines.map((line) => {
      const value = latest(line.values);
      return `${line.label} ${value === null ? NOTHING : plot.format(value)}`;
    });
    return `${plot.title}: ${parts.join(", ") || NOTHING}`;
  }

  private drawCursor(): void {
    const frame = this.frame;
    if (!frame) return;
    const [width, height] = [frame.width - LEFT - RIGHT, frame.height - TOP - BOTTOM];
    // Most of the time there is nothing on it: then it takes no memory and no time either.
    const bare = this.cursor === undefined && this.pressed === undefined;
    const to = sized(this.above, width, height, bare);
    if (!to) return;
    const { x, y } = placesOf(frame);
    if (this.pressed !== undefined && this.marked !== undefined) {
      to.globalAlpha = 0.2;
      to.fillStyle = frame.colour("--accent");
      to.fillRect(Math.min(this.pressed, this.marked), 0, Math.abs(this.marked - this.pressed), height);
      to.globalAlpha = 1;
    }
    const time = this.cursor === undefined ? undefined : frame.times[this.cursor];
    if (time === undefined || this.cursor === undefined) return;
    const place = x(time) - LEFT;
    to.fillStyle = frame.colour("--ink-soft");
    to.fillRect(Math.round(place), 0, 1, height);
    for (const layer of frame.scene.layers) {
      const value = layer.values[this.cursor] ?? null;
      if (value === null || layer.line.level) continue;
      to.fillStyle = frame.colour(`--chart-${layer.colour}`);
      dot(to, place, y(value) - TOP, 3);
    }
  }

  private timeAt(place: number): number {
    const { from, to } = this.shown.window;
    return from + (place / Math.max(1, this.above.clientWidth)) * (to - from);
  }

  private listen(): void {
    const over = this.above;
    over.onpointermove = (event) => {
      const place = Math.min(Math.max(event.offsetX, 0), over.clientWidth);
      if (this.pressed !== undefined && Math.abs(place - this.pressed) >= SLACK) this.marked = place;
      point(this.timeAt(place));
    };
    over.onpointerdown = (event) => {
      if (event.button !== 0 || this.shown.still) return;
      this.pressed = event.offsetX;
      over.setPointerCapture(event.pointerId);
    };
    over.onpointerup = () => {
      const { pressed, marked } = this;
      this.pressed = this.marked = undefined;
      this.drawCursor();
      if (pressed !== undefined && marked !== undefined) setRange(zoomTo(this.timeAt(pressed), this.timeAt(marked)));
    };
    over.onpointercancel = over.onpointerleave = () => {
      this.pressed = this.marked = undefined;
      point(undefined);
    };
    over.ondblclick = () => {
      if (!this.shown.still) resetRange();
    };
  }
}

/** The context of a canvas of this size, empty, with one unit to a CSS pixel; none for one that stays `bare`. */
function sized(canvas: HTMLCanvasElement, width: number, height: number, bare = false): CanvasRenderingContext2D | null {
  const ratio = bare ? 0 : devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  if (bare) return null;
  const context = canvas.getContext("2d");
  context?.scale(ratio, ratio);
  return context;
}
