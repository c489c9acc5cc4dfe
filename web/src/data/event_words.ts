/** What an event says, in one line, and the page that says more. */

import { OUTCOMES, type Tone } from "../parts/status";
import { alert, breaker, events as words, failover, tasks } from "../text";
import { percent } from "../text/units";
import type { EventMessage } from "./types";

export interface Told {
  text: string;
  detail: string;
  tone: Tone;
  href?: string;
}

type Data = Record<string, unknown>;

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const table = (value: unknown): Data => (typeof value === "object" && value !== null ? (value as Data) : {});
const named = (words: Readonly<Record<string, string>>, key: unknown): string => words[text(key)] ?? text(key);
const path = (base: string, name: unknown) => `/${base}/${encodeURIComponent(text(name))}`;
const list = (value: unknown): string[] => (Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : []);

/** States and actions of a group by which it is well, or is not. */
const GOOD = ["steady", "observing", "rejoined", "switched"];
const BAD = ["refused", "split_brain", "trouble"];

const TELLERS: Partial<Record<EventMessage["type"], (data: Data) => Told>> = {
  alert: (data) => {
    const about = table(data["alert"]);
    const over = ["resolved", "resolved_by_hand", "expired"].includes(text(data["action"]));
    return {
      text: `${text(about["title"])}: ${named(alert.happenings, data["action"])}`,
      detail: text(about["message"]),
      tone: over ? "ok" : ["critical", "emergency"].includes(text(about["severity_level"])) ? "bad" : "warn",
      href: path("alerts", about["id"]),
    };
  },
  target: (data) => {
    const outcome = OUTCOMES[text(data["class"]) as keyof typeof OUTCOMES] as (typeof OUTCOMES)["ok"] | undefined;
    return {
      text: words.said.target(text(data["name"]), outcome?.word ?? text(data["class"])),
      detail: text(data["detail"]) || text(data["code"]),
      tone: outcome?.tone ?? "off",
      href: path("targets", data["name"]),
    };
  },
  breaker: (data) => ({
    text: words.said.breaker(text(data["name"]), named(breaker.states, data["from"]), named(breaker.states, data["to"])),
    detail: data["by"] ? breaker.by(text(data["by"])) : named(breaker.reasons, data["reason"]),
    tone: data["to"] === "closed" ? "ok" : data["to"] === "half_open" ? "warn" : "bad",
    href: path("targets", data["name"]),
  }),
  failover: (data) => ({
    text: data["to"]
      ? words.said.failover(text(data["group"]), named(failover.states, data["from"]), named(failover.states, data["to"]))
      : `${text(data["group"])}: ${named(words.said.actions, data["action"])}`,
    detail: text(data["detail"]) || text(table(data["refusal"])["detail"]) || text(table(data["failover"])["cause"]) || text(data["member"]),
    tone: GOOD.includes(text(data["to"] ?? data["action"])) ? "ok" : BAD.includes(text(data["to"] ?? data["action"])) ? "bad" : "warn",
    href: path("failover", data["group"]),
  }),
  task: (data) => {
    if (data["check"]) {
      return {
        text: words.said.check(text(data["check"]), named(tasks.statuses, data["from"]), named(tasks.statuses, data["to"])),
        detail: named(tasks.reasons, data["reason"]),
        tone: data["to"] === "up" ? "ok" : data["to"] === "down" ? "bad" : "warn",
        href: path("tasks", data["check"]),
      };
    }
    const task = table(data["task"]);
    return {
      text: `${text(task["name"])}: ${named(tasks.states, task["state"])}`,
      detail: text(task["message"]),
      tone: task["state"] === "failed" ? "bad" : task["state"] === "completed" ? "ok" : "off",
      ...(task["check"] ? { href: path("tasks", task["check"]) } : {}),
    };
  },
  system: (data) => {
    const [action, changed] = [text(data["action"]), list(data["changed"])];
    if (action === "started") return { text: words.said.started(text(data["version"])), detail: "", tone: "ok" };
    if (action === "config_changed") return { text: words.said.config(text(data["by"]), changed.length), detail: changed.slice(0, 3).join(", "), tone: "off" };
    const more = [text(data["state"]), text(data["reason"]), ...list(data["problems"])].filter((part) => part !== "");
    return { text: action.replaceAll("_", " "), detail: more.join("; "), tone: action === "config_invalid" ? "bad" : "off" };
  },
  metrics: (data) => {
    const share = (key: string) => percent(typeof data[key] === "number" ? data[key] : undefined);
    return { text: words.said.metrics(share("cpu_usage_percent"), share("memory_usage_percent")), detail: "", tone: "off" };
  },
};

export function told(message: EventMessage): Told {
  const data = table(message.data);
  if (message.type === "gap") {
    return { text: words.gap(Number(data["from"]), Number(data["to"])), detail: "", tone: "warn" };
  }
  const own = TELLERS[message.type]?.(data);
  // A type that this page does not know yet is shown as it came.
  return own ?? { text: text(data["action"]) || message.type, detail: text(data["detail"]) || text(data["name"]), tone: "off" };
}
