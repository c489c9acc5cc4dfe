/** What an expression answers now, the level that is, and its last hour with the limits. */

import { useComputed, useSignal, type ReadonlySignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { asProblem, type Problem } from "../../data/api";
import { levelOf } from "../../data/condition";
import { agentNow, shown } from "../../data/live";
import { courseOf, samplesOf, type CourseAnswer, type Sample } from "../../data/promql";
import type { Rule } from "../../data/types";
import { Chart } from "../../parts/chart";
import { colourAt, type Mark, type Plot } from "../../parts/plot";
import { SeverityPill } from "../../parts/severity";
import { Warnings } from "../../parts/warnings";
import { rule as words } from "../../text";
import { count, plain } from "../../text/units";
import { chooseStep, HOUR, SECOND, type Window } from "../../time/range";
import { limitLines } from "../alert/limits";

const PERIOD = 10 * SECOND;
/** Typing stops for so long before the agent is asked, ms. */
const SETTLE = 400;
const POINTS = 240;
const LINES = 8;
const ROWS = 12;

export type Judged = Pick<Rule, "op" | "levels"> & { expr: string };

interface Found {
  samples: Sample[];
  course: CourseAnswer;
  window: Window;
}

/** `{a="b"}` without the name of the series. */
export function labelsText(labels: Record<string, string>): string {
  const parts = Object.entries(labels).filter(([name]) => name !== "__name__");
  return parts.map(([name, value]) => `${name}=${value}`).join(", ");
}

export function Now({ judged, marks }: { judged: ReadonlySignal<Judged>; marks?: readonly Mark[] }) {
  const found = useSignal<Found | undefined>(undefined);
  const problem = useSignal<Problem | undefined>(undefined);
  const expr = useComputed(() => judged.value.expr);
  useEffect(() => {
    let running: AbortController | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      running?.abort();
      const mine = new AbortController();
      running = mine;
      if (shown.peek() && expr.peek().trim() !== "") {
        try {
          const answer = await find(expr.peek(), mine.signal);
          if (running !== mine) return;
          found.value = answer;
          problem.value = undefined;
        } catch (error) {
          if (running !== mine) return;
          found.value = undefined;
          problem.value = asProblem(error);
        }
      }
      timer = setTimeout(ask, PERIOD);
    };
    const stop = expr.subscribe(() => {
      clearTimeout(timer);
      timer = setTimeout(ask, SETTLE);
    });
    return () => {
      stop();
      clearTimeout(timer);
      running?.abort();
      running = undefined;
    };
  }, []);
  const plot = useComputed(() => found.value && plotOf(judged.value, found.value));
  const answer = found.value;
  return (
    <section aria-labelledby="now">
      <h2 id="now">
        {words.live} <span class="muted">{words.liveLead}</span>
      </h2>
      {problem.value && (
        <p class="problem" role="alert">
          {problem.value.message}
        </p>
      )}
      {answer && plot.value && (
        <div class="now">
          <Warnings texts={answer.course.warnings} />
          {answer.samples.length === 0 ? (
            <p class="card pad muted">{words.liveNone}</p>
          ) : (
            <Values judged={judged.value} samples={answer.samples} />
          )}
          <Chart plot={plot.value} times={answer.course.times} window={answer.window} marks={marks} still />
        </div>
      )}
    </section>
  );
}

async function find(expr: string, signal: AbortSignal): Promise<Found> {
  const now = agentNow();
  const step = chooseStep(HOUR, POINTS, SECOND);
  const window = { from: Math.floor((now - HOUR) / step) * step, to: Math.floor(now / step) * step };
  const [{ samples }, course] = await Promise.all([samplesOf(expr, signal), courseOf(expr, window.from, window.to, step, signal)]);
  return { samples, course, window };
}

function plotOf(judged: Judged, { course }: Found): Plot {
  const shown = course.courses.slice(0, LINES);
  const more = course.courses.length > LINES ? words.courseMore(LINES, course.courses.length) : undefined;
  return {
    id: "course",
    title: words.course,
    format: count,
    wide: true,
    ...(more === undefined ? {} : { note: more }),
    lines: [
      ...shown.map((one, i) => ({ label: labelsText(one.labels) || words.value, values: one.values, colour: colourAt(i) })),
      ...limitLines(judged.levels, course.times.length),
    ],
  };
}

function Values({ judged, samples }: { judged: Judged; samples: readonly Sample[] }) {
  return (
    <div class="card">
      <table class="table">
        <thead>
          <tr>
            <th>{words.labels}</th>
            <th class="number">{words.value}</th>
            {judged.levels.length > 0 && <th>{words.reaches}</th>}
          </tr>
        </thead>
        <tbody>
          {samples.slice(0, ROWS).map((sample) => {
            const level = levelOf(judged, sample.value);
            return (
              <tr key={labelsText(sample.labels)}>
                <td class="anywhere">{labelsText(sample.labels) || <span class="muted">{words.noLabels}</span>}</td>
                <td class="number strong">{Number.isFinite(sample.value) ? plain(sample.value) : String(sample.value)}</td>
                {judged.levels.length > 0 && <td>{level ? <SeverityPill severity={level} /> : <span class="muted">{words.below}</span>}</td>}
              </tr>
            );
          })}
        </tbody>
      </table>
      {samples.length > ROWS && <p class="muted pad">{words.liveMore(samples.length - ROWS)}</p>}
    </div>
  );
}
