/**
 * Why an alert fired: the course of its value around that time with the limits, and how many
 * samples met the condition before it. The history is asked again: what is gone from it
 * cannot be shown, and the rule may have changed since, which is said.
 */

import { useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { asProblem, call, type Problem } from "../../data/api";
import { levelOf, meets } from "../../data/condition";
import { agentNow } from "../../data/live";
import { belonging, courseOf, type CourseAnswer } from "../../data/promql";
import { latest } from "../../data/series";
import type { AlertDetail, RuleDetail } from "../../data/types";
import { Chart } from "../../parts/chart";
import { Command } from "../../parts/command";
import { Facts, type Fact } from "../../parts/facts";
import type { Line, Plot } from "../../parts/plot";
import { ProblemCard } from "../../parts/problem";
import { Warnings } from "../../parts/warnings";
import { href, hrefAt } from "../../router";
import { alert as words, parts } from "../../text";
import { duration, parseSpan, plain } from "../../text/units";
import { chooseStep, fixedRange, HOUR, SECOND, type Window } from "../../time/range";
import { limitLines } from "./limits";

const POINTS = 360;
/** Samples that are counted at most. */
const MOST = 600;

interface Found {
  rule: RuleDetail;
  window: Window;
  course: CourseAnswer;
  /** Samples that met the condition, of all in the time it had to hold. */
  beyond: number;
  counted: number;
}

async function find(alert: AlertDetail, signal: AbortSignal): Promise<Found> {
  const rule = await call("GET /api/v1/monitoring/rules/{name}", { path: { name: alert.rule }, signal });
  const fired = Date.parse(alert.fired_at ?? alert.created_at);
  const exact = { from: fired - HOUR, to: Math.min(agentNow(), fired + HOUR) };
  const step = chooseStep(exact.to - exact.from, POINTS, SECOND);
  const window = { from: Math.floor(exact.from / step) * step, to: Math.floor(exact.to / step) * step };
  const held = parseSpan(rule.for) ?? 0;
  const every = Math.max(parseSpan(rule.every) ?? SECOND, held / MOST);
  const [course, before] = await Promise.all([
    courseOf(rule.expr, window.from, window.to, step, signal),
    courseOf(rule.expr, fired - held, fired, every, signal),
  ]);
  const values = (belonging(before.courses, alert.labels)?.values ?? []).filter((value) => value !== null);
  const limit = rule.levels[0]?.value;
  const beyond = values.filter((value) => limit === undefined || meets(rule.op, value, limit)).length;
  return { rule, window, course, beyond, counted: values.length };
}

export function Why({ alert }: { alert: AlertDetail }) {
  const found = useSignal<Found | undefined>(undefined);
  const problem = useSignal<Problem | undefined>(undefined);
  const gone = useSignal(false);
  const load = (signal: AbortSignal) => {
    // Only what was reported ends by itself: there is no rule to ask for.
    gone.value = Boolean(alert.expires_at);
    if (gone.value) return;
    problem.value = undefined;
    find(alert, signal).then(
      (answer) => (found.value = answer),
      (error: unknown) => {
        if (signal.aborted) return;
        const refused = asProblem(error);
        if (refused.status === 404) gone.value = true;
        else problem.value = refused;
      },
    );
  };
  useEffect(() => {
    const running = new AbortController();
    load(running.signal);
    return () => running.abort();
  }, [alert.id, alert.fired_at]);
  const plot = useComputed(() => found.value && plotOf(alert, found.value));
  if (gone.value) return <EventOnly />;
  if (problem.value) {
    return <ProblemCard error={problem.value} retry={() => load(new AbortController().signal)} what={parts.notLoaded(words.why)} />;
  }
  if (!found.value) return <div class="card skeleton tall" aria-busy="true" />;
  const { rule, course, window } = found.value;
  return (
    <section aria-labelledby="why" class="why">
      <h2 id="why">{words.why}</h2>
      <Warnings texts={course.warnings} />
      {plot.value && <Chart plot={plot.value} times={course.times} window={window} marks={marksOf(alert)} still />}
      <div class="card pad">
        <Facts items={factsOf(alert, found.value)} />
        <Command text={rule.expr} label={words.expression} />
        <p class="muted small">
          {words.ruleChanged} <a href={href(`/rules/${rule.name}`)}>{rule.name}</a>
          {" \u00b7 "}
          <a href={hrefAt("/host", fixedRange(window.from, window.to))}>{words.hostThen}</a>
        </p>
      </div>
    </section>
  );
}

function EventOnly() {
  return (
    <section class="card pad">
      <h2>{words.whyEvent}</h2>
      <p class="muted">{words.event}</p>
    </section>
  );
}

function factsOf(alert: AlertDetail, { rule, beyond, counted }: Found): Fact[] {
  const held = parseSpan(rule.for) ?? 0;
  const first = alert.timeline.find((step) => step.what === "fired");
  const condition =
    rule.levels.length === 0
      ? words.conditionAny
      : rule.levels.map((level) => words.conditionLevel(rule.op ?? ">=", plain(level.value), parts.severities[level.severity])).join("; ");
  const value = first?.value ?? alert.value;
  const level = value === null || value === undefined ? undefined : levelOf(rule, value);
  return [
    [words.condition, condition],
    [words.held, held === 0 ? words.heldNone : duration(held)],
    [words.atFire, value === null || value === undefined ? "" : `${plain(value)}${level ? ` (${parts.severities[level]})` : ""}`],
    [words.window, counted === 0 ? words.windowNone : words.windowWords(beyond, counted, held === 0 ? duration(SECOND) : duration(held))],
    [words.now, alert.state === "resolved" ? "" : plain(alert.value)],
    [words.every, duration(parseSpan(rule.every) ?? 0)],
  ];
}

function plotOf(alert: AlertDetail, { rule, course }: Found): Plot {
  const mine = belonging(course.courses, alert.labels);
  const values = mine?.values ?? course.times.map(() => null);
  const line: Line = { label: words.value, values, colour: 1 };
  const reach = Math.max(0, latest(values) ?? 0);
  return {
    id: "trigger",
    title: words.trigger,
    note: words.triggerNote,
    format: plain,
    reach,
    wide: true,
    lines: [line, ...limitLines(rule.levels, course.times.length)],
  };
}

/** The steps of the alert itself. */
function marksOf(alert: AlertDetail) {
  return alert.timeline.map((step) => ({
    at: Date.parse(step.at),
    kind: "alert" as const,
    tone: step.what === "resolved" || step.what === "resolved_by_hand" ? ("ok" as const) : ("bad" as const),
    text: words.happenings[step.what],
  }));
}
