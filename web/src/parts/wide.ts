/** Whether the window is wide enough for things side by side, as the style sheet sees it. */

import { signal } from "@preact/signals";

const media = matchMedia("(min-width: 761px)");

export const wide = signal(media.matches);

media.addEventListener("change", () => {
  wide.value = media.matches;
});
