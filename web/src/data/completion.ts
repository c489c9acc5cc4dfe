/** What the agent knows that an expression may name: its metrics, their labels, the values of these. Asked for once each. */

import { call } from "./api";
import { contextAt, offers, type Place } from "./promql_context";
import { CALLS, DURATIONS, type Name } from "./promql_names";

/** Values of a label beyond this are found by typing more of them. */
const VALUES = 1000;
const MOST = 50;

export interface Offer {
  from: number;
  typed: string;
  names: readonly Name[];
}

const held = new Map<string, Promise<readonly Name[]>>();

/** What failed is asked for again: the agent may have restarted. */
function once(key: string, load: () => Promise<readonly Name[]>): Promise<readonly Name[]> {
  const known = held.get(key);
  if (known) return known;
  const asked = load().catch(() => {
    held.delete(key);
    return [];
  });
  held.set(key, asked);
  return asked;
}

const quiet = true;

async function metrics(): Promise<readonly Name[]> {
  const { data } = await call("GET /prometheus/api/v1/metadata", { quiet });
  return Object.entries(data).map(([name, [about]]) => ({ name, about: [about?.type, about?.help].filter(Boolean).join(": ") }));
}

const named = (names: readonly string[], tail: string): Name[] => names.map((name) => ({ name, about: "", tail }));
const matching = (metric: string) => (metric === "" ? {} : { "match[]": [metric] });

async function labels(metric: string): Promise<readonly Name[]> {
  const { data } = await call("GET /prometheus/api/v1/labels", { query: matching(metric), quiet });
  return named(data.filter((name) => name !== "__name__"), "");
}

async function values(label: string, metric: string): Promise<readonly Name[]> {
  const query = { ...matching(metric), limit: VALUES };
  const { data } = await call("GET /prometheus/api/v1/label/{name}/values", { path: { name: label }, query, quiet });
  return named(data, "");
}

async function all(place: Place): Promise<readonly Name[]> {
  switch (place.kind) {
    case "metric":
      return [...(await once("metrics", metrics)), ...CALLS];
    case "label":
      return once(`labels ${place.metric}`, () => labels(place.metric));
    case "value":
      return once(`values ${place.label} ${place.metric}`, () => values(place.label, place.metric));
    default:
      return DURATIONS;
  }
}

/** What fits at the caret, unless exactly that stands there already. */
export async function offerAt(text: string, caret: number): Promise<Offer | undefined> {
  const context = contextAt(text, caret);
  if (!context) return undefined;
  const names = offers(await all(context), context.typed, MOST);
  const done = names.length === 1 && names[0]?.name === context.typed;
  return names.length === 0 || done ? undefined : { from: context.from, typed: context.typed, names };
}
