/** The answer of one expression over the range of the page; a live range is asked for again and again. */

import { useComputed, useSignal, type ReadonlySignal, type Signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { asProblem, wasAborted, type Problem } from "../../data/api";
import { agentNow, reloads, shown } from "../../data/live";
import { courseOf, type CourseAnswer } from "../../data/promql";
import { interval } from "../../data/settings";
import { Chart } from "../../parts/chart";
import { Table, type Column } from "../../parts/table";
import { Warnings } from "../../parts/warnings";
import { range } from "../../router";
import { explore as words } from "../../text";
import { plain } from "../../text/units";
import { align, chooseStep, isLive, resolve, SECOND, type Window } from "../../time/range";
import { plotOf, rowOf, type Row } from "./courses";

const POINTS = 400;
const ROWS = 500;
/** A live answer is no older than this, or than one step, ms. */
const PERIOD = 5 * SECOND;

interface Found {
  expr: string;
  answer: CourseAnswer;
  window: Window;
}

interface Props {
  letter: string;
  expr: ReadonlySignal<string>;
  problem: Signal<Problem | undefined>;
  view: "chart" | "table";
}

export function Result({ letter, expr, problem, view }: Props) {
  const found = useSignal<Found | undefined>(undefined);
  useEffect(() => watch(expr, found, problem), []);
  const answer = found.value;
  const plot = useComputed(() => found.value && plotOf(letter, found.value.expr, found.value.answer));
  if (!answer || !plot.value) {
    if (expr.value === "" || problem.value) return null;
    return <div class="card skeleton" aria-busy="true" />;
  }
  const { courses, warnings, times } = answer.answer;
  return (
    <>
      <Warnings texts={warnings} />
      {courses.length === 0 ? (
        <p class="card pad muted">{words.none}</p>
      ) : view === "table" ? (
        <Rows letter={letter} rows={courses.map(rowOf)} />
      ) : (
        <Chart plot={plot.value} times={times} window={answer.window} />
      )}
    </>
  );
}

/** Asks whenever the expression or the range is another one, until the returned function is called. */
function watch(expr: ReadonlySignal<string>, found: Signal<Found | undefined>, problem: Signal<Problem | undefined>): () => void {
  let running: AbortController | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const ask = async () => {
    clearTimeout(timer);
    running?.abort();
    const text = expr.peek();
    if (text === "") {
      found.value = undefined;
      problem.value = undefined;
      return;
    }
    const mine = new AbortController();
    running = mine;
    const exact = resolve(range.peek(), agentNow());
    const step = chooseStep(exact.to - exact.from, POINTS, interval.peek());
    const window = align(exact, step);
    try {
      if (shown.peek()) {
        const answer = await courseOf(text, window.from, window.to, step, mine.signal);
        if (running !== mine) return;
        found.value = { expr: text, answer, window };
        problem.value = undefined;
      }
    } catch (error) {
      if (wasAborted(error) || running !== mine) return;
      found.value = undefined;
      problem.value = asProblem(error);
      // A wrong expression does not become right by itself; an agent that restarts does.
      if (problem.value.status >= 400 && problem.value.status < 500) return;
    }
    if (isLive(range.peek())) timer = setTimeout(() => void ask(), Math.max(step, PERIOD));
  };
  const stops = [expr, range, reloads].map((source: ReadonlySignal<unknown>) => source.subscribe(() => void ask()));
  return () => {
    for (const stop of stops) stop();
    clearTimeout(timer);
    running?.abort();
    running = undefined;
  };
}

const figure = (id: "last" | "min" | "mean" | "max"): Column<Row> => ({
  id,
  title: words.columns[id],
  number: true,
  sort: (row) => row[id],
  cell: (row) => plain(row[id]),
});

const COLUMNS: readonly Column<Row>[] = [
  { id: "name", title: words.columns.series, head: true, wide: true, sort: (row) => row.name, cell: (row) => <code class="anywhere">{row.name}</code> },
  figure("last"),
  figure("min"),
  figure("mean"),
  figure("max"),
];

function Rows({ letter, rows }: { letter: string; rows: readonly Row[] }) {
  return (
    <>
      <Table label={words.expression(letter)} columns={COLUMNS} rows={rows.slice(0, ROWS)} keyOf={(row) => row.name} empty="" />
      {rows.length > ROWS && <p class="muted">{words.tableNote(ROWS, rows.length)}</p>}
    </>
  );
}
