/**
 * Light or dark: what the system says, unless the user chose.
 *
 * The choice is an attribute of the root element that the style sheet reads;
 * [`painted`] changes with it, for what is drawn on canvas.
 */

import { computed, effect, signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";

const KEY = "holdfast.theme";
const ORDER: readonly Theme[] = ["auto", "light", "dark"];

function stored(): Theme {
  try {
    return ORDER.find((theme) => theme === localStorage.getItem(KEY)) ?? "auto";
  } catch {
    return "auto";
  }
}

const darkSystem = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(darkSystem.matches);

export const theme = signal<Theme>(stored());
export const painted = computed<"light" | "dark">(() =>
  theme.value === "auto" ? (systemIsDark.value ? "dark" : "light") : theme.value,
);

export function nextTheme(): void {
  theme.value = ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length] ?? "auto";
  try {
    localStorage.setItem(KEY, theme.value);
  } catch {
    // Private windows may refuse: the choice then lasts as long as the page.
  }
}

export function startTheme(): void {
  darkSystem.addEventListener("change", (event) => {
    systemIsDark.value = event.matches;
  });
  effect(() => {
    document.documentElement.dataset["theme"] = painted.value;
  });
}
