import { describe, expect, it } from "vitest";

import { contextAt, faultOf, offers } from "../src/data/promql_context";

/** The place at the bar. */
function at(marked: string) {
  const caret = marked.indexOf("|");
  return contextAt(marked.replace("|", ""), caret);
}

describe("what may stand at the caret", () => {
  it("is a metric or a function outside of everything", () => {
    expect(at("|")).toMatchObject({ kind: "metric", from: 0, typed: "" });
    expect(at("sum(rate(node_c|")).toMatchObject({ kind: "metric", from: 9, typed: "node_c" });
    expect(at('up{a="b"} / no|de')).toMatchObject({ kind: "metric", from: 12, typed: "no" });
  });

  it("is a label inside braces and behind by", () => {
    expect(at("node_load1{|")).toMatchObject({ kind: "label", metric: "node_load1", typed: "" });
    expect(at('node_cpu{mode="idle", c|')).toMatchObject({ kind: "label", metric: "node_cpu", typed: "c" });
    expect(at("sum by (de|")).toMatchObject({ kind: "label", metric: "", typed: "de" });
    expect(at("sum by (a, de|")).toMatchObject({ kind: "label", typed: "de" });
    expect(at("{|")).toMatchObject({ kind: "label", metric: "" });
  });

  it("is a value inside quotes, with its label", () => {
    expect(at('node_cpu{mode="i|')).toMatchObject({ kind: "value", metric: "node_cpu", label: "mode", typed: "i", from: 15 });
    expect(at('node_cpu{a="x", mode=~"|')).toMatchObject({ kind: "value", label: "mode", typed: "" });
    expect(at('node_cpu{a="\\"|')).toMatchObject({ kind: "value", label: "a" });
  });

  it("is a duration inside brackets, and nothing in comments, strings of functions and numbers", () => {
    expect(at("rate(a[5|")).toMatchObject({ kind: "duration", typed: "5" });
    expect(at("a # b|")).toBeUndefined();
    expect(at("a # b\n + c|")).toMatchObject({ kind: "metric", typed: "c" });
    expect(at('label_replace(a, "x|')).toBeUndefined();
    expect(at("a > 10|")).toBeUndefined();
  });

  it("goes back to metrics behind a closed list", () => {
    expect(at("sum by (device) (no|")).toMatchObject({ kind: "metric", typed: "no" });
    expect(at("rate(a[5m]) + b|")).toMatchObject({ kind: "metric", typed: "b" });
  });
});

describe("the place of an error", () => {
  it("is read from line and column", () => {
    expect(faultOf("a +\n foo(b)", "invalid parameter: 2:2: parse error: unknown")).toEqual({ at: 5, what: "parse error: unknown" });
    expect(faultOf("sum(a", "1:6: expected )")).toEqual({ at: 5, what: "expected )" });
    expect(faultOf("a", "1:99: too far")).toEqual({ at: 1, what: "too far" });
    expect(faultOf("a", "out of memory at 10:30")).toBeUndefined();
  });
});

describe("offers", () => {
  it("puts what begins alike before what holds it", () => {
    const all = ["node_load1", "load", "up"].map((name) => ({ name }));
    expect(offers(all, "LOAD", 9).map((one) => one.name)).toEqual(["load", "node_load1"]);
    expect(offers(all, "", 2)).toHaveLength(2);
    expect(offers(all, "p", 9)).toEqual([]);
  });
});
