/** Keys of the whole page. A field that takes text keeps its keys. */

import { agentNow } from "../data/live";
import { range, resetRange, setRange } from "../router";
import { shiftBy, zoomBy } from "../time/range";
import { toggleLive } from "./live_badge";
import { nextTheme } from "./theme";

export interface Key {
  key: string;
  words: string;
  run: () => void;
}

export const KEYS: readonly Key[] = [
  { key: "l", words: "Live on or off", run: toggleLive },
  { key: "t", words: "Theme: automatic, light, dark", run: nextTheme },
  { key: "+", words: "Zoom in", run: () => setRange(zoomBy(range.value, 0.5, agentNow())) },
  { key: "-", words: "Zoom out", run: () => setRange(zoomBy(range.value, 2, agentNow())) },
  { key: "[", words: "Earlier", run: () => setRange(shiftBy(range.value, -0.5, agentNow())) },
  { key: "]", words: "Later", run: () => setRange(shiftBy(range.value, 0.5, agentNow())) },
  { key: "0", words: "Reset the time range", run: resetRange },
  { key: "?", words: "This help", run: toggleHelp },
];

export const HELP_ID = "help";

export function toggleHelp(): void {
  const dialog = document.getElementById(HELP_ID);
  if (!(dialog instanceof HTMLDialogElement)) return;
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

export function startKeyboard(): void {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target;
    if (target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement) return;
    const found = KEYS.find((one) => one.key === event.key);
    if (!found) return;
    // Behind an open dialog the page stands still; `?` closes its own.
    if (document.querySelector("dialog[open]") && found.key !== "?") return;
    event.preventDefault();
    found.run();
  });
}
