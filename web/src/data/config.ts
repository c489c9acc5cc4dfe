/**
 * The configuration in force, and how one value of it is changed.
 *
 * A change goes out as a merge patch with the ETag of what it was made from, so that two
 * people who change at once do not undo each other. `null` takes a run-time value back.
 */

import { call, request, type Answer } from "./api";
import type { Json } from "./toml";
import type { Schemas } from "./types";

export type Value = Schemas["ValueView"];
export type Origin = Schemas["ValueOrigin"];
export type Applied = Answer<"PATCH /api/v1/config">;

export interface Config {
  shown: Answer<"GET /api/v1/config">;
  etag: string;
}

const ADDRESS = "/api/v1/config";

export async function loadConfig(): Promise<Config> {
  const response = await request({ method: "GET", address: ADDRESS, headers: { accept: "application/json" } });
  return { shown: (await response.json()) as Config["shown"], etag: response.headers.get("etag") ?? "" };
}

export async function applyPatch(etag: string, patch: Json): Promise<Applied> {
  const headers = { accept: "application/json", "content-type": "application/merge-patch+json", "if-match": etag };
  const response = await request({ method: "PATCH", address: ADDRESS, headers, body: JSON.stringify(patch) });
  return (await response.json()) as Applied;
}

export async function exportToml(): Promise<string> {
  return (await request({ method: "GET", address: `${ADDRESS}/export` })).text();
}

export const drift = (signal: AbortSignal) => call("GET /api/v1/config/diff", { signal });

/** `a.b` and 1 become `{ a: { b: 1 } }`. */
export function patchOf(values: Readonly<Record<string, Json>>): Json {
  const patch: { [key: string]: Json } = {};
  for (const [key, value] of Object.entries(values)) {
    const path = key.split(".");
    const last = path.pop() ?? key;
    let table = patch;
    for (const part of path) table = (table[part] ??= {}) as { [key: string]: Json };
    table[last] = value;
  }
  return patch;
}

/** What a key is about: the part before the first point, without a name in brackets. */
export function sectionOf(key: string): string {
  return /^[^.[]+/.exec(key)?.[0] ?? key;
}

/** Belongs to one of several things with names, which have pages of their own. */
export const isListed = (key: string): boolean => key.includes("[");

/** The page that changes what a listed key belongs to. */
export function pageOf(key: string): string | undefined {
  const [, kind, name = ""] = /^([^[]+)\[(.*?)\]/.exec(key) ?? [];
  const id = encodeURIComponent(name);
  if (kind === "rule") return `/rules/${id}`;
  if (kind?.startsWith("target.")) return `/targets/${id}`;
  if (kind?.startsWith("channel.")) return "/channels";
  if (kind === "failover.group") return `/failover/${id}`;
  return kind === "check" ? "/tasks" : undefined;
}

export type Kind = "flag" | "number" | "list" | "text" | "json";

/** How a value is typed in. */
export function kindOf(value: Pick<Value, "value" | "default">): Kind {
  const sample = value.value ?? value.default;
  if (typeof sample === "boolean") return "flag";
  if (typeof sample === "number") return "number";
  if (Array.isArray(sample)) return sample.every((one) => typeof one === "string") ? "list" : "json";
  return sample === null || sample === undefined || typeof sample === "string" ? "text" : "json";
}

/** A value as a person reads and types it. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) return value.join(", ");
  return JSON.stringify(value);
}

/** What was typed, as a value; an empty text is none. Throws a `SyntaxError` where it is to be JSON and is not. */
export function valueOf(kind: Kind, typed: string): Json {
  const text = typed.trim();
  if (kind === "list") return text.split(",").map((word) => word.trim()).filter((word) => word !== "");
  if (text === "") return null;
  if (kind === "flag") return text === "true";
  if (kind === "number") return Number.isFinite(Number(text)) ? Number(text) : text;
  return kind === "json" ? (JSON.parse(text) as Json) : text;
}

/** Values that only a few words may be. */
export const CHOICES: Readonly<Record<string, readonly string[]>> = {
  "auth.anonymous": ["read", "none"],
  "storage.profile": ["default", "flash"],
  "log.level": ["error", "warn", "info", "debug", "trace"],
  "log.format": ["text", "json"],
};
