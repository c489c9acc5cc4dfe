import { describe, expect, test } from "vitest";

import { fromToml, TomlError, toToml, type Section } from "../src/data/toml";

const RULE: Section = {
  name: "pool_full",
  expr: '100 * (1 - a{b="c\\d"} / b)\nunless c',
  levels: { medium: 80, high: 90.5, critical: 95 },
  clear_margin: 5,
  for: "5m",
  enabled: false,
  depends_on: ["service_down on target", "other"],
  labels: { team: "storage", "with space": "x" },
  override: [
    { name: "scratch", match: { mountpoint: "/scratch" }, enabled: false },
    { name: "big", levels: { high: 99 } },
  ],
};

describe("a section as TOML", () => {
  test("comes back as it went", () => {
    expect(fromToml("rule", toToml("rule", RULE, ["name", "expr"]))).toEqual(RULE);
  });

  test("puts the first keys first and leaves out what is null", () => {
    const text = toToml("rule", { levels: { high: 1 }, runbook: null, name: "x" }, ["name"]);
    expect(text).toBe('[[rule]]\nname = "x"\nlevels = { high = 1 }\n');
  });

  test("is read as people write it", () => {
    const text = `# a comment
[[rule]]
name = 'raw \\ text'   # behind a value
expr = """
sum(a) \\
  > 1"""
notify = [
  "ops", # the first
  "mail",
]
flap = { changes = 6, window = "15m" }
big = 1_000
minus = -0.5
[rule.levels]
high = 90
[[rule.override]]
name = "a"
[[rule.override]]
name = "b"
levels.high = 3
`;
    expect(fromToml("rule", text)).toEqual({
      name: "raw \\ text",
      expr: "sum(a) > 1",
      notify: ["ops", "mail"],
      flap: { changes: 6, window: "15m" },
      big: 1000,
      minus: -0.5,
      levels: { high: 90 },
      override: [{ name: "a" }, { name: "b", levels: { high: 3 } }],
    });
  });

  test.each([
    ["name = ", 1, /value/],
    ["\nname = x", 2, /quotes/],
    ['name = "x\n', 1, /quotes/],
    ['a = 1\na = 2', 2, /twice/],
    ["a = [1 2]", 1, /, or \]/],
    ["a = { b = 1", 1, /, or \}/],
    ["[[channel]]", 1, /\[\[rule\]\]/],
    ["a 1", 1, /=/],
    ["a = 1 b = 2", 1, /end of the line/],
    ['a = """\nx', 1, /"""/],
  ])("says where %j is wrong", (text, line, what) => {
    let found: unknown;
    try {
      fromToml("rule", text);
    } catch (error) {
      found = error;
    }
    expect(found).toBeInstanceOf(TomlError);
    expect((found as TomlError).line).toBe(line);
    expect((found as TomlError).what).toMatch(what);
  });
});
