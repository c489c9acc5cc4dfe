/** Keys of the whole page. A field that takes text keeps its keys. */

import { computed, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { agentNow } from "../data/live";
import { range, resetRange, setRange } from "../router";
import { help } from "../text";
import { shiftBy, zoomBy } from "../time/range";
import { toggleLive } from "./live_badge";
import { openPalette } from "./palette";
import { nextTheme } from "./theme";

export interface Key {
  key: string;
  words: string;
  run: () => void;
}

const words = help.keys;

export const KEYS: readonly Key[] = [
  { key: "/", words: words.search, run: openPalette },
  { key: "l", words: words.live, run: toggleLive },
  { key: "t", words: words.theme, run: nextTheme },
  { key: "+", words: words.zoomIn, run: () => setRange(zoomBy(range.value, 0.5, agentNow())) },
  { key: "-", words: words.zoomOut, run: () => setRange(zoomBy(range.value, 2, agentNow())) },
  { key: "[", words: words.earlier, run: () => setRange(shiftBy(range.value, -0.5, agentNow())) },
  { key: "]", words: words.later, run: () => setRange(shiftBy(range.value, 0.5, agentNow())) },
  { key: "0", words: words.reset, run: resetRange },
  { key: "?", words: words.help, run: toggleHelp },
];

/** Keys of the page that is shown, besides those of every page. */
const added = signal<readonly Key[]>([]);
export const pageKeys = computed(() => added.value);

/** Adds keys while the caller is shown; the help lists them. */
export function useKeys(keys: readonly Key[]): void {
  useEffect(() => {
    added.value = keys;
    return () => {
      added.value = [];
    };
  }, []);
}

export const helpOpen = signal(false);

export function toggleHelp(): void {
  helpOpen.value = !helpOpen.value;
}

function takesText(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

export function startKeyboard(): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey) return;
    const shut = document.querySelector("dialog[open]") !== null;
    if (event.ctrlKey || event.metaKey) {
      if (event.key !== "k" || shut) return;
      event.preventDefault();
      openPalette();
      return;
    }
    if (takesText(event.target)) return;
    const found = [...KEYS, ...added.value].find((one) => one.key === event.key);
    // Behind an open dialog the page stands still; `?` closes its own.
    if (!found || (shut && !(found.key === "?" && helpOpen.value))) return;
    event.preventDefault();
    found.run();
  });
}
