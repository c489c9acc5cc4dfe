import { describe, expect, test } from "vitest";

import { levelOf, meets } from "../src/data/condition";
import { matchesAll, parseMatcher } from "../src/data/matchers";
import { belonging, onGrid } from "../src/data/promql";
import type { Alert } from "../src/data/types";
import { nearest } from "../src/parts/marks";
import type { Mark } from "../src/parts/plot";
import { byWeight } from "../src/pages/alerts/weight";

describe("matchers", () => {
  const labels = { alertname: "high_cpu", mountpoint: "/data/a" };
  const match = (...texts: string[]) => matchesAll(texts.flatMap((text) => parseMatcher(text) ?? []), labels);

  test("all of them must match, patterns mean the whole value, a missing label is empty", () => {
    expect(match('alertname="high_cpu"', 'mountpoint=~"/data.*"')).toBe(true);
    expect(match('mountpoint=~"/dat"')).toBe(false);
    expect(match('mountpoint!~"/dat"', 'team!="lab"', 'team=""')).toBe(true);
    expect(match("alertname=high_cpu")).toBe(true);
    expect(match('alertname!="high_cpu"')).toBe(false);
  });

  test.each(["alertname", '="x"', 'a="', 'a=~"["', "1a=b"])("%j is none", (text) => {
    expect(parseMatcher(text)).toBeUndefined();
  });
});

describe("conditions", () => {
  const rule = { op: ">=", levels: [{ severity: "medium", value: 80 }, { severity: "critical", value: 95 }] } as const;

  test("the worst level that is reached counts", () => {
    const judge = (value: number) => levelOf({ op: rule.op, levels: [...rule.levels] }, value);
    expect([79, 80, 94.9, 95].map(judge)).toEqual([undefined, "medium", "medium", "critical"]);
  });

  test("below as well as above", () => {
    expect(meets("<", 1, 2)).toBe(true);
    expect(meets("<=", 2, 2)).toBe(true);
    expect(meets("!=", 2, 2)).toBe(false);
    expect(meets("?", 3, 2)).toBe(false);
  });
});

describe("answers of the protocol", () => {
  test("stand on the grid; what is missing or no number is a gap", () => {
    const pairs: [number, string][] = [[10, "1"], [12, "NaN"], [13, "+Inf"], [14, "2.5"], [99, "7"]];
    expect(onGrid(pairs, 10_000, 1000, 6)).toEqual([1, null, null, null, 2.5, null]);
  });

  test("the series of an alert says nothing that the alert does not say", () => {
    const all = [{ labels: {} }, { labels: { __name__: "up", target: "a" } }, { labels: { target: "b" } }];
    expect(belonging(all, { target: "a", alertname: "x" })).toBe(all[1]);
    expect(belonging(all, { target: "c" })).toBe(all[0]);
    expect(belonging([{ labels: { target: "b" } }], { target: "c" })).toBeUndefined();
  });
});

describe("the inbox", () => {
  test("what nobody dealt with comes first, then the worst", () => {
    const one = (id: string, severity_level: string, dealt: Partial<Alert> = {}) =>
      ({ id, severity_level, acknowledged: false, silenced_by: [], inhibited_by: [], ...dealt }) as unknown as Alert;
    const all = [
      one("a", "low"),
      one("b", "critical", { acknowledged: true }),
      one("c", "high"),
      one("d", "emergency", { inhibited_by: ["x"] }),
    ];
    expect(byWeight(all).map((alert) => alert.id)).toEqual(["c", "a", "d", "b"]);
  });
});

describe("marks", () => {
  const mark = (at: number): Mark => ({ at, kind: "alert", tone: "bad", text: String(at) });

  test("the nearest one counts, if it is near", () => {
    const marks = [mark(1000), mark(1005), mark(2000)];
    const window = { from: 0, to: 1000 };
    expect(nearest(marks, 1004, window)?.at).toBe(1005);
    expect(nearest(marks, 1500, window)).toBeUndefined();
  });
});
