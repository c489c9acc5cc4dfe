import { describe, expect, test } from "vitest";

import { told } from "../src/data/event_words";
import { added, MOST_ROWS } from "../src/data/tail";
import type { EventMessage } from "../src/data/types";

const message = (type: EventMessage["type"], data: unknown, seq = 1): EventMessage => ({ type, data, seq, timestamp: "2026-11-28T09:41:07.071Z" });

describe("an event in a line", () => {
  test("names what it is about, how it is now, and where to look", () => {
    expect(told(message("breaker", { name: "pg1", from: "closed", to: "open", reason: "failures_in_row" }))).toEqual({
      text: "pg1: breaker closed to open",
      detail: "failures in a row",
      tone: "bad",
      href: "/targets/pg1",
    });
    expect(told(message("target", { name: "a b", class: "hard", code: "refused", detail: "" }))).toMatchObject({ text: "a b is down", detail: "refused", href: "/targets/a%20b" });
    expect(told(message("failover", { group: "main", from: "verifying", to: "steady", detail: "pg2 is the primary" }))).toMatchObject({ text: "main: verifying to steady", tone: "ok" });
    expect(told(message("failover", { group: "main", action: "refused", refusal: { code: "quorum", detail: "1 of 2" } }))).toMatchObject({ text: "main: failover refused", detail: "1 of 2", tone: "bad" });
    expect(told(message("failover", { group: "main", action: "rejoined", member: "pg1" }))).toMatchObject({ text: "main: a member follows again", detail: "pg1", tone: "ok" });
    expect(told(message("task", { check: "nightly", from: "up", to: "down", reason: "missed" }))).toMatchObject({ text: "nightly: up to down", tone: "bad", href: "/tasks/nightly" });
    expect(told(message("alert", { action: "fired", alert: { id: "x", title: "Full", message: "", severity_level: "critical" } }))).toMatchObject({ text: "Full: fired", tone: "bad", href: "/alerts/x" });
  });

  test("is said in some way even when it has a form that nobody foresaw", () => {
    const strange: unknown[] = [null, 7, "text", [], {}, { to: 3, name: null, alert: "x", changed: "y" }];
    for (const type of ["alert", "target", "breaker", "failover", "task", "system", "metrics", "storage", "gap"] as const) {
      for (const data of strange) expect(typeof told(message(type, data)).text).toBe("string");
    }
    expect(told(message("storage", { action: "scrub", detail: "md0" }))).toMatchObject({ text: "scrub", detail: "md0" });
  });

  test("a gap says which numbers are missing", () => {
    expect(told(message("gap", { from: 3, to: 9 })).text).toBe("Events 3 to 9 are no longer held");
    expect(told(message("gap", { from: 3, to: 3 })).text).toBe("Event 3 is no longer held");
  });
});

describe("the tail", () => {
  test("keeps the newest first, and no more than it may", () => {
    let rows: readonly EventMessage[] = [];
    for (let seq = 1; seq <= MOST_ROWS + 5; seq += 1) rows = added(rows, message("system", {}, seq));
    expect(rows.length).toBe(MOST_ROWS);
    expect(rows[0]?.seq).toBe(MOST_ROWS + 5);
  });

  test("does not show one twice that came again", () => {
    const one = message("system", {}, 4);
    expect(added(added([], one), one).length).toBe(1);
  });
});
