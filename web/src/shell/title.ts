/** The title of the window: how many alerts fire, which host and page, whether the figures are old. */

import { effect } from "@preact/signals";

import { firing } from "../data/alerts";
import { stale, system } from "../data/live";
import { current } from "../pages";
import { shell } from "../text";

export function startTitle(): void {
  effect(() => {
    const page = current.value?.page.title ?? shell.notFound;
    const host = system.value?.host.hostname ?? shell.product;
    const count = firing.value.length > 0 ? `(${firing.value.length}) ` : "";
    document.title = `${stale.value ? `${shell.disconnected} ` : count}${host}: ${page}`;
  });
}
