/**
 * The one door to the agent: every operation of its API document, typed by it.
 *
 *     call("GET /api/v1/targets/{name}", { path: { name } })
 *
 * A refusal is a [`Problem`] with what `application/problem+json` said. A call that
 * needs credentials asks for them once and then goes on, so a page never handles 401.
 * Wrong would be a second place that fetches: it would know neither token nor deadline.
 */

import type { Operations, Schemas } from "./api.gen";
import { calls as words } from "../text";
import { authorization, loginsSoFar, mayAsk, signIn } from "./session";

export type Operation = keyof Operations;
export type Answer<K extends Operation> = Operations[K]["answer"];

/** What a call takes after its name: parameters of the path, of the query, the body. */
export type Args<K extends Operation> = Operations[K]["args"];

export type FieldError = Schemas["FieldError"];

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly code: string,
    readonly hint = "",
    readonly traceId = "",
    readonly errors: readonly FieldError[] = [],
  ) {
    super(detail === "" ? title : `${title}: ${detail}`);
    this.name = "Problem";
  }
}

/** Longer than any answer should take; then the request is given up, ms. */
const DEADLINE = 15_000;
/** A channel under test answers when the far side does; a replay reads a week, ms. */
const PATIENCE = 60_000;

const text = (value: unknown): string => (typeof value === "string" ? value : "");

function problemOf(status: number, body: unknown): Problem {
  // The protocol of Prometheus has an error of its own form.
  type Said = Partial<Schemas["Problem"]> & Partial<Schemas["PrometheusError"]>;
  const said = (typeof body === "object" && body !== null ? body : {}) as Said;
  if (said.error && said.errorType) return new Problem(status, said.errorType.replaceAll("_", " "), said.error, said.errorType);
  const title = text(said.title) || words.answered(status);
  const errors = Array.isArray(said.errors) ? said.errors : [];
  return new Problem(status, title, text(said.detail), text(said.code), text(said.hint), text(said.trace_id), errors);
}

/** Whether an error only says that the caller itself gave up. */
export function wasAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return new Problem(0, words.late, words.lateText, "timeout");
  }
  return new Problem(0, words.away, error instanceof Error ? error.message : "", "unreachable");
}

interface Loose {
  path?: Record<string, string>;
  query?: Record<string, string | number | boolean | readonly string[] | undefined>;
  body?: unknown;
  signal?: AbortSignal;
  /** A refusal is the answer: nobody is asked who they are. */
  quiet?: boolean;
}

/** The address of an operation, with its parameters filled in. */
export function addressOf(path: string, given: Pick<Loose, "path" | "query">): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(given.path?.[name] ?? ""));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(given.query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) query.append(name, String(one));
  }
  return query.size === 0 ? filled : `${filled}?${query}`;
}

function bodyOf(method: string, body: unknown): { body?: string; type?: string } {
  if (body === undefined) return {};
  if (typeof body === "string") return { body, type: "text/plain" };
  return { body: JSON.stringify(body), type: method === "PATCH" ? "application/merge-patch+json" : "application/json" };
}

async function send(name: string, given: Loose): Promise<unknown> {
  const [method = "GET", path = ""] = name.split(" ");
  const deadline = AbortSignal.timeout(method === "GET" ? DEADLINE : PATIENCE);
  const { body, type } = bodyOf(method, given.body);
  const headers: Record<string, string> = { accept: "application/json", ...authorization() };
  if (type) headers["content-type"] = type;
  const response = await fetch(addressOf(path, given), {
    method,
    headers,
    credentials: "same-origin",
    signal: given.signal ? AbortSignal.any([given.signal, deadline]) : deadline,
    ...(body === undefined ? {} : { body }),
  });
  if (response.status === 204) return undefined;
  const answer: unknown = await response.json().catch(() => undefined);
  const media = response.headers.get("content-type") ?? "";
  // Health explains itself with a 503: an answer, and not a problem.
  const good = response.ok || (response.status === 503 && media.startsWith("application/json"));
  if (!good || answer === undefined) throw problemOf(response.status, answer);
  return answer;
}

export function call<K extends Operation>(name: K, ...args: Args<K>): Promise<Answer<K>>;
export async function call(name: string, given: Loose = {}): Promise<unknown> {
  const before = loginsSoFar();
  try {
    return await send(name, given);
  } catch (error) {
    const refused = error instanceof Problem && (error.status === 401 || (error.status === 403 && error.code === "forbidden"));
    // Asked before somebody signed in and answered after it: as the one who is there now it may go well.
    if (refused && loginsSoFar() !== before) return await call(name as Operation, ...([given] as unknown as Args<Operation>));
    if (!refused || given.quiet || !mayAsk(!name.startsWith("GET ")) || !(await signIn(error.detail))) throw error;
    return await send(name, given);
  }
}

export interface RawRequest {
  method: string;
  /** Path with its query. */
  address: string;
  headers?: Record<string, string>;
  body?: string | undefined;
}

/** Sends what no typed call can: headers of one's own, bodies and answers that are no JSON. Any status is an answer. */
export async function exchange({ method, address, headers = {}, body }: RawRequest): Promise<Response> {
  const once = () =>
    fetch(address, {
      method,
      headers: { ...authorization(), ...headers },
      credentials: "same-origin",
      signal: AbortSignal.timeout(PATIENCE),
      ...(body === undefined ? {} : { body }),
    });
  const response = await once();
  if (response.status !== 401 || !mayAsk(method !== "GET") || !(await signIn())) return response;
  return once();
}

/** The same, but a refusal is a [`Problem`]. */
export async function request(given: RawRequest): Promise<Response> {
  const response = await exchange(given);
  if (!response.ok) throw problemOf(response.status, await response.json().catch(() => undefined));
  return response;
}
