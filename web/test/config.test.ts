import { describe, expect, it } from "vitest";

import { isListed, kindOf, pageOf, patchOf, sectionOf, textOf, valueOf } from "../src/data/config";
import { parseSize, rawInside, roomOf } from "../src/data/retention";
import { DAY } from "../src/time/range";

describe("a change of the configuration", () => {
  it("is a tree of tables", () => {
    expect(patchOf({ "quiet_hours.from": "22:00", "quiet_hours.to": null, listen: ["a"] })).toEqual({
      quiet_hours: { from: "22:00", to: null },
      listen: ["a"],
    });
  });

  it("is typed as what it is", () => {
    expect(valueOf(kindOf({ value: true, default: false }), "false")).toBe(false);
    expect(valueOf(kindOf({ value: 5, default: 5 }), "7")).toBe(7);
    expect(valueOf(kindOf({ value: [], default: [] }), "a, b,")).toEqual(["a", "b"]);
    expect(valueOf(kindOf({ value: null, default: null }), " ")).toBeNull();
    expect(valueOf(kindOf({ value: "1s", default: "1s" }), "2s")).toBe("2s");
    expect(valueOf(kindOf({ value: [{ a: 1 }], default: [] }), '[{"a":2}]')).toEqual([{ a: 2 }]);
    expect(() => valueOf("json", "{")).toThrow(SyntaxError);
    // Not a number: the agent says what it expected.
    expect(valueOf("number", "many")).toBe("many");
    expect(textOf(["a", "b"])).toBe("a, b");
    expect(textOf(null)).toBe("");
  });

  it("knows whose page changes it", () => {
    expect(sectionOf("target.tcp[mail.a].name")).toBe("target");
    expect(isListed("rule[x].for")).toBe(true);
    expect(pageOf("rule[a b].for")).toBe("/rules/a%20b");
    expect(pageOf("target.tcp[mail].interval")).toBe("/targets/mail");
    expect(pageOf("storage.cap")).toBeUndefined();
  });
});

describe("room of the tiers", () => {
  const measured = { pace: 500, series: 500 };
  const kept = { raw: DAY, minute: 30 * DAY, hour: 730 * DAY };

  it("grows with what is kept and shortens raw samples inside the cap", () => {
    const room = roomOf(measured, kept);
    expect(room.raw).toBeCloseTo(23.8e6, -5);
    expect(room.total).toBe(room.raw + room.minute + room.hour);
    expect(rawInside(measured, kept, 512 * 2 ** 20)).toBe(DAY);
    expect(rawInside(measured, { ...kept, raw: 100 * DAY }, room.total)).toBeCloseTo(DAY, -3);
    expect(rawInside(measured, kept, 1000)).toBe(0);
  });

  it("reads sizes", () => {
    expect(parseSize("64MiB")).toBe(64 * 2 ** 20);
    expect(parseSize("1.5 GB")).toBe(1.5e9);
    expect(parseSize("64")).toBeUndefined();
  });
});
