import { describe, expect, it } from "vitest";

import { isSilent, SILENCE } from "../src/data/silence";

describe("silence", () => {
  it("leaves an agent that collects every half a minute alone", () => {
    expect(isSilent(1_000_000 + 75_000, 1_000, 1_000_000)).toBe(false);
    expect(isSilent(1_000_000 + SILENCE + 1, 1_000, 1_000_000)).toBe(true);
  });

  it("begins anew with each socket, whatever was heard on the one before", () => {
    expect(isSilent(1_000_000, 999_000, 1_000)).toBe(false);
    expect(isSilent(1_000_000, 999_000, 0)).toBe(false);
    expect(isSilent(999_000 + SILENCE + 1, 999_000, 1_000)).toBe(true);
  });
});
