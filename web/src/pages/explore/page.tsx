/** Any series by PromQL: several expressions, all of them in the URL, over one time range. */

import { useComputed, useSignal } from "@preact/signals";

import type { Problem } from "../../data/api";
import { Icon } from "../../parts/icon";
import { filter, setFilters } from "../../router";
import { explore as words } from "../../text";
import { Editor } from "./editor";
import { Result } from "./result";

const LETTERS = ["A", "B", "C", "D", "E", "F"] as const;
const nameOf = (at: number) => `e${at + 1}`;

/** The expressions of the URL; a gap among them closes. */
function given(): string[] {
  return LETTERS.map((_, i) => filter(nameOf(i)).trim()).filter((expr) => expr !== "");
}

function keep(expressions: readonly string[]): void {
  setFilters(Object.fromEntries(LETTERS.map((_, i) => [nameOf(i), expressions[i] ?? ""])));
}

export function ExplorePage() {
  const expressions = given();
  const more = useSignal(0);
  const rows = Math.min(LETTERS.length, Math.max(1, expressions.length + more.value));
  const view = filter("view") === "table" ? "table" : "chart";
  const run = (at: number, expr: string) => {
    const next = [...expressions];
    next[at] = expr;
    if (at >= expressions.length && more.value > 0) more.value -= 1;
    keep(next.filter((one) => (one ?? "") !== ""));
  };
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <div class="range" role="group" aria-label={words.view}>
          {(["chart", "table"] as const).map((one) => (
            <button key={one} type="button" aria-pressed={view === one} onClick={() => setFilters({ view: one === "chart" ? "" : one })}>
              {words.views[one]}
            </button>
          ))}
        </div>
        <p class="lead muted">
          {words.lead} {words.hint}
        </p>
      </div>
      {LETTERS.slice(0, rows).map((letter, i) => (
        <Expression
          key={letter}
          letter={letter}
          expr={expressions[i] ?? ""}
          view={view}
          focus={i > 0 && i >= expressions.length}
          run={(expr) => run(i, expr)}
          remove={
            rows === 1
              ? undefined
              : () => {
                  if (i >= expressions.length) more.value -= 1;
                  else keep(expressions.filter((_, at) => at !== i));
                }
          }
        />
      ))}
      {expressions.length === 0 ? (
        <section class="card empty">
          <h2>{words.emptyTitle}</h2>
          <p>{words.emptyText}</p>
          <ul class="rows examples">
            {words.examples.map(([about, expr]) => (
              <li key={expr}>
                <button type="button" class="button plain" onClick={() => run(0, expr)}>
                  {about}
                </button>
                <code class="anywhere muted">{expr}</code>
              </li>
            ))}
          </ul>
        </section>
      ) : (
        rows < LETTERS.length && (
          <p>
            <button type="button" class="button" onClick={() => (more.value += 1)}>
              {words.add}
            </button>
          </p>
        )
      )}
    </div>
  );
}

interface ExpressionProps {
  letter: string;
  expr: string;
  view: "chart" | "table";
  focus: boolean;
  run: (expr: string) => void;
  remove: (() => void) | undefined;
}

function Expression({ letter, expr, view, focus, run, remove }: ExpressionProps) {
  const problem = useSignal<Problem | undefined>(undefined);
  const held = useSignal(expr);
  held.value = expr;
  const asked = useComputed(() => held.value);
  return (
    <section class="expression" aria-labelledby={`expression-${letter}`}>
      <h2 class="visually-hidden" id={`expression-${letter}`}>
        {words.expression(letter)}
      </h2>
      <div class="expression-row">
        <Editor letter={letter} value={expr} problem={problem.value} run={run} focus={focus} />
        {remove && (
          <button type="button" class="icon-button" aria-label={words.remove(letter)} onClick={remove}>
            <Icon name="close" size={16} />
          </button>
        )}
      </div>
      <Result letter={letter} expr={asked} problem={problem} view={view} />
    </section>
  );
}
