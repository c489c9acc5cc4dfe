import { describe, expect, test } from "vitest";

import { compare } from "../src/parts/sort";
import { ranked } from "../src/shell/rank";

describe("the order of cells", () => {
  test("numbers by size, words with their numbers, what is missing last", () => {
    expect([10, 9, null, 1].sort(compare)).toEqual([1, 9, 10, null]);
    expect(["disk10", "Disk2", "", "disk1"].sort(compare)).toEqual(["disk1", "Disk2", "disk10", ""]);
    expect([true, false].sort(compare)).toEqual([false, true]);
  });
});

describe("the palette", () => {
  const names = ["Host", "Alerts", "Go live", "Silences", "Zoom in"];
  const find = (typed: string) => ranked(names, typed, (name) => name);

  test("shows everything in its order when nothing is typed", () => {
    expect(find("")).toEqual(names);
  });

  test("puts the start of a name before the start of a word before any part", () => {
    expect(ranked(["all in", "inside", "main"], "in", (name) => name)).toEqual(["inside", "all in", "main"]);
  });

  test("takes letters in order, and nothing that lacks one", () => {
    expect(find("sln")).toEqual(["Silences"]);
    expect(find("xyz")).toEqual([]);
  });
});
