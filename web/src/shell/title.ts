/** The title of the window: which host and page, and whether the figures are old. */

import { effect } from "@preact/signals";

import { stale, system } from "../data/live";
import { PAGES } from "../pages";
import { path } from "../router";

export function startTitle(): void {
  effect(() => {
    const page = PAGES.find((one) => one.path === path.value)?.title ?? "Not found";
    const host = system.value?.host.hostname ?? "holdfast";
    document.title = `${stale.value ? "(disconnected) " : ""}${host}: ${page}`;
  });
}
