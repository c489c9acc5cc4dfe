/** What a rule asks of its value, in words and as a test. */

import type { Rule, Severity } from "./types";

const TESTS: Record<string, (value: number, limit: number) => boolean> = {
  ">": (value, limit) => value > limit,
  ">=": (value, limit) => value >= limit,
  "<": (value, limit) => value < limit,
  "<=": (value, limit) => value <= limit,
  "==": (value, limit) => value === limit,
  "!=": (value, limit) => value !== limit,
};

export function meets(op: string | null | undefined, value: number, limit: number): boolean {
  return TESTS[op ?? ">="]?.(value, limit) ?? false;
}

/** The worst level that a value reaches; undefined below all of them. */
export function levelOf(rule: Pick<Rule, "op" | "levels">, value: number): Severity | undefined {
  return [...rule.levels].reverse().find((level) => meets(rule.op, value, level.value))?.severity;
}
