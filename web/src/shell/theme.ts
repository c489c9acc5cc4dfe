/**
 * Light or dark, and how strong the contrast is: what the system says, unless the user chose.
 *
 * The choices are attributes of the root element that the style sheet reads;
 * [`painted`] changes with them, for what is drawn on canvas.
 */

import { computed, effect, signal, type ReadonlySignal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";

const KEY = "holdfast.theme";
const CONTRAST_KEY = "holdfast.contrast";
const ORDER: readonly Theme[] = ["auto", "light", "dark"];

function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Private windows may refuse: the choice then lasts as long as the page.
  }
}

/** Whether the system wants something, kept up to date. */
function wanted(query: string): ReadonlySignal<boolean> {
  const media = matchMedia(query);
  const result = signal(media.matches);
  media.addEventListener("change", (event) => {
    result.value = event.matches;
  });
  return result;
}

const systemIsDark = wanted("(prefers-color-scheme: dark)");
const systemIsStrong = wanted("(prefers-contrast: more)");
const chosenContrast = signal(stored(CONTRAST_KEY));

export const theme = signal<Theme>(ORDER.find((one) => one === stored(KEY)) ?? "auto");
const shade = computed(() => (theme.value === "auto" ? (systemIsDark.value ? "dark" : "light") : theme.value));
const strong = computed(() => (chosenContrast.value === null ? systemIsStrong.value : chosenContrast.value === "more"));
export const painted = computed(() => `${shade.value} ${strong.value}`);

export function nextTheme(): void {
  theme.value = ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length] ?? "auto";
  store(KEY, theme.value);
}

export function nextContrast(): void {
  chosenContrast.value = strong.value ? "less" : "more";
  store(CONTRAST_KEY, chosenContrast.value);
}

export function startTheme(): void {
  effect(() => {
    document.documentElement.dataset["theme"] = shade.value;
    document.documentElement.dataset["contrast"] = strong.value ? "more" : "less";
  });
}
