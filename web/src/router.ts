/**
 * Where the page is: path and time range, kept in the URL and nowhere else.
 *
 * Links are plain anchors; a click on one below `/ui/` becomes a history entry. The
 * range rides along from page to page, so that a link shows the same hours.
 */

import { computed, signal } from "@preact/signals";

import { DEFAULT_RANGE, formatBound, isLive, parseRange, sameRange, type TimeRange } from "./time/range";

const BASE = "/ui";

interface Place {
  path: string;
  search: string;
}

const place = signal<Place>(read());

function read(): Place {
  const path = location.pathname.startsWith(BASE) ? location.pathname.slice(BASE.length) : "/";
  return { path: path.replace(/\/+$/, "") || "/", search: location.search };
}

/** The path below `/ui`, without a slash at its end; the overview is `/`. */
export const path = computed(() => place.value.path);

/** What the URL asks for; one that makes no sense counts as the default. */
export const range = computed<TimeRange>(() => {
  const query = new URLSearchParams(place.value.search);
  if (!query.has("from") && !query.has("to")) return DEFAULT_RANGE;
  return parseRange(query.get("from"), query.get("to"), Date.now()) ?? DEFAULT_RANGE;
});

export const live = computed(() => isLive(range.value));

/** The last live range, which is where a reset goes back to. */
let home: TimeRange = DEFAULT_RANGE;

function searchFor(wanted: TimeRange): string {
  if (sameRange(wanted, DEFAULT_RANGE)) return "";
  const escaped = (text: string) => encodeURIComponent(text).replaceAll("%3A", ":");
  return `?from=${escaped(formatBound(wanted.from))}&to=${escaped(formatBound(wanted.to))}`;
}

/** The address of a page with the present range. */
export function href(target: string): string {
  return `${BASE}${target}${searchFor(range.value)}`;
}

function go(address: string): void {
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
  place.value = read();
}

export function setRange(wanted: TimeRange): void {
  if (isLive(range.value)) home = range.value;
  go(location.pathname + searchFor(wanted));
}

export function resetRange(): void {
  setRange(isLive(range.value) ? DEFAULT_RANGE : home);
}

/** Follows the browser and the links of the page until the page is closed. */
export function startRouter(): void {
  addEventListener("popstate", () => {
    place.value = read();
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const anchor = event.target instanceof Element ? event.target.closest("a") : null;
    if (!anchor || anchor.target !== "" || anchor.origin !== location.origin) return;
    if (!anchor.pathname.startsWith(`${BASE}/`) || anchor.hash !== "") return;
    event.preventDefault();
    go(anchor.pathname + anchor.search);
    document.getElementById("main")?.focus({ preventScroll: true });
    scrollTo(0, 0);
  });
}
