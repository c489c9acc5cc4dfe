/** Values as the path of an SVG line. */

import type { Value } from "../data/series";

export const WIDTH = 240;
export const HEIGHT = 48;

/** Path of the values between 0 and `top`, one piece per run without a gap. */
export function pathOf(values: readonly Value[], top: number, width = WIDTH, height = HEIGHT): string {
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  let path = "";
  let drawing = false;
  values.forEach((value, i) => {
    if (value === null) {
      drawing = false;
      return;
    }
    const x = (i * step).toFixed(1);
    const y = (height - (Math.min(value, top) / top) * (height - 2) - 1).toFixed(1);
    // A lone value between gaps becomes a dot, thanks to the round line end.
    path += drawing ? `L${x} ${y}` : `M${x} ${y}h0`;
    drawing = true;
  });
  return path;
}
