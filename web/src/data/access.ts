/** Scopes and roles, and what a role stands for. */

import type { Args } from "./api";
import type { Schemas } from "./types";

export type Scope = Schemas["Scope"];
export type Role = Args<"POST /api/v1/users">[0]["body"]["role"];
export type Token = Schemas["List_TokenView"]["items"][number];
export type User = Schemas["List_UserView"]["items"][number];
export type Made = Schemas["MadeToken"];

/** The mildest first, of both. */
export const SCOPES: readonly Scope[] = ["monitoring:read", "monitoring:write", "targets:write", "config:write", "admin"];
export const ROLES: readonly Role[] = ["viewer", "operator", "admin"];

/** How long a new token may last: choices of the form, empty for ever. */
export const SPANS = ["1d", "30d", "90d", "365d", ""] as const;

/** Whether something that ends at `at` has ended, or ends within a week of `now`, ms. */
export function ending(at: string | null | undefined, now: number): "over" | "soon" | undefined {
  if (!at) return undefined;
  const left = Date.parse(at) - now;
  if (left <= 0) return "over";
  return left < 7 * 86_400_000 ? "soon" : undefined;
}
