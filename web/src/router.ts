/**
 * Where the page is: path, time range and filters, kept in the URL and nowhere else.
 *
 * Links are plain anchors; a click on one below `/ui/` becomes a history entry. The
 * range rides along from page to page, so that a link shows the same hours; filters
 * belong to their page and stay behind.
 */

import { computed, signal } from "@preact/signals";

import { DEFAULT_RANGE, formatBound, isLive, parseRange, sameRange, type TimeRange } from "./time/range";

const BASE = "/ui";

interface Place {
  path: string;
  search: string;
}

/** The last part of the path of a form for something new: no name has a plus, so it hides nothing. */
export const NEW = "+new";

/** Parameters of a page besides the range; an empty value is left out. */
export type Filters = Record<string, string>;

const place = signal<Place>(read());

function read(): Place {
  const path = location.pathname.startsWith(BASE) ? location.pathname.slice(BASE.length) : "/";
  return { path: path.replace(/\/+$/, "") || "/", search: location.search };
}

/** The path below `/ui`, without a slash at its end; the overview is `/`. */
export const path = computed(() => place.value.path);

const query = computed(() => new URLSearchParams(place.value.search));

/** What the URL asks for; one that makes no sense counts as the default. */
export const range = computed<TimeRange>(() => {
  const [from, to] = [query.value.get("from"), query.value.get("to")];
  if (from === null && to === null) return DEFAULT_RANGE;
  return parseRange(from, to, Date.now()) ?? DEFAULT_RANGE;
});

export const live = computed(() => isLive(range.value));

/** The last live range, which is where a reset goes back to. */
let home: TimeRange = DEFAULT_RANGE;

function searchFor(wanted: TimeRange, filters: Filters): string {
  const escaped = (text: string) => encodeURIComponent(text).replaceAll("%3A", ":").replaceAll("%2C", ",");
  const parts = sameRange(wanted, DEFAULT_RANGE)
    ? []
    : [`from=${escaped(formatBound(wanted.from))}`, `to=${escaped(formatBound(wanted.to))}`];
  for (const [name, value] of Object.entries(filters)) if (value !== "") parts.push(`${name}=${escaped(value)}`);
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

/** The filters that the URL holds now. */
function filters(): Filters {
  return Object.fromEntries([...query.value].filter(([name]) => name !== "from" && name !== "to"));
}

/** A filter of the page; empty when the URL does not say. */
export function filter(name: string): string {
  return query.value.get(name) ?? "";
}

/** Changes filters in place: a search that is typed should not fill the history. */
export function setFilters(changed: Filters): void {
  const address = location.pathname + searchFor(range.value, { ...filters(), ...changed });
  history.replaceState(null, "", address);
  place.value = read();
}

/** The address of a page with the present range. */
export function href(target: string, wanted: Filters = {}): string {
  return `${BASE}${target}${searchFor(range.value, wanted)}`;
}

/** The address of a page that shows its own range. */
export function hrefAt(target: string, wanted: TimeRange, filters: Filters = {}): string {
  return `${BASE}${target}${searchFor(wanted, filters)}`;
}

function go(address: string): void {
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
  place.value = read();
}

/** Goes to a page, as a click on its link does. */
export function navigate(target: string, wanted: Filters = {}): void {
  arrive(href(target, wanted));
}

function arrive(address: string): void {
  go(address);
  document.getElementById("main")?.focus({ preventScroll: true });
  scrollTo(0, 0);
}

export function setRange(wanted: TimeRange): void {
  if (isLive(range.value)) home = range.value;
  go(location.pathname + searchFor(wanted, filters()));
}

export function resetRange(): void {
  setRange(isLive(range.value) ? DEFAULT_RANGE : home);
}

/** The parameters of a path that has the form of `pattern`: `/alerts/:id`. */
export function match(pattern: string, path: string): Record<string, string> | undefined {
  const [wanted, given] = [pattern.split("/"), path.split("/")];
  if (wanted.length !== given.length) return undefined;
  const found: Record<string, string> = {};
  for (const [i, part] of wanted.entries()) {
    const piece = given[i] ?? "";
    if (part.startsWith(":") && piece !== "") {
      try {
        found[part.slice(1)] = decodeURIComponent(piece);
      } catch {
        return undefined;
      }
    } else if (part !== piece) return undefined;
  }
  return found;
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
    arrive(anchor.pathname + anchor.search);
  });
}
