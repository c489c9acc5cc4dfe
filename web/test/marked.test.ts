import { describe, expect, it } from "vitest";

import { blocks, inlines } from "../src/data/marked";
import { helpPages } from "../src/text/en/help_pages";

describe("the marks of the help", () => {
  it("are code and links", () => {
    expect(inlines("see `a b` and [x](/y).")).toEqual(["see ", { code: "a b" }, " and ", { words: "x", link: "/y" }, "."]);
    expect(inlines("none")).toEqual(["none"]);
  });

  it("are headings, items and lines to copy", () => {
    expect(blocks("\nA\n## B\n- c\n- d\n    e\n    f\n\ng")).toEqual([
      { kind: "paragraph", text: "A" },
      { kind: "heading", text: "B" },
      { kind: "items", items: ["c", "d"] },
      { kind: "lines", text: "e\nf" },
      { kind: "paragraph", text: "g" },
    ]);
  });

  it("are closed everywhere, and lead to pages", () => {
    for (const page of helpPages) {
      expect(page.text.split("`").length % 2, page.id).toBe(1);
      for (const { 1: link } of page.text.matchAll(/\]\(([^)]*)\)/g)) expect(link).toMatch(/^\/[a-z/]+(\?tab=[a-z]+)?$/);
    }
  });
});
