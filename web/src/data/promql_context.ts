/**
 * What may stand at one place of a PromQL text: enough for completion, no parser.
 *
 * It reads the text before the caret from left to right and remembers what is open: a
 * string, braces, brackets, a list of labels. Wrong would be to judge by the last word
 * alone: `mode` is a label inside braces and a metric outside.
 */

export type Place =
  | { kind: "metric" | "duration" }
  /** A label; of the series that `metric` has, where it is known. */
  | { kind: "label"; metric: string }
  | { kind: "value"; metric: string; label: string };

export type Context = Place & {
  /** Where the word begins that is being typed, and how it begins. */
  from: number;
  typed: string;
};

const LISTS = new Set(["by", "without", "on", "ignoring", "group_left", "group_right"]);
const WORD = /[A-Za-z0-9_:.]*$/;

interface Open {
  mark: "{" | "(" | "[";
  /** The word before it. */
  before: string;
}

/** Undefined where nothing can be offered, as in a comment. */
export function contextAt(text: string, caret: number): Context | undefined {
  const open: Open[] = [];
  let quote = "";
  let quotedAt = 0;
  let word = "";
  /** The last word that was finished, and the label before the last operator. */
  let last = "";
  let label = "";
  for (let i = 0; i < caret; i += 1) {
    const mark = text.charAt(i);
    if (quote !== "") {
      if (mark === "\\" && quote !== "`") i += 1;
      else if (mark === quote) quote = "";
      continue;
    }
    if (/[A-Za-z0-9_:.]/.test(mark)) {
      word += mark;
      continue;
    }
    if (word !== "") last = word;
    word = "";
    if (/\s/.test(mark)) continue;
    if (mark === '"' || mark === "'" || mark === "`") {
      quote = mark;
      quotedAt = i + 1;
    } else if (mark === "#") {
      const end = text.indexOf("\n", i);
      if (end < 0 || end >= caret) return undefined;
      i = end;
    } else if (mark === "{" || mark === "(" || mark === "[") open.push({ mark, before: last });
    else if (mark === "}" || mark === ")" || mark === "]") open.pop();
    else if (mark === "=" || mark === "!") label = last || label;
    last = "";
  }
  const inner = open.at(-1);
  const metric = inner?.mark === "{" ? inner.before : "";
  if (quote !== "") {
    const from = Math.min(quotedAt, caret);
    return inner?.mark === "{" && label !== "" ? { kind: "value", metric, label, from, typed: text.slice(from, caret) } : undefined;
  }
  const typed = WORD.exec(text.slice(0, caret))?.[0] ?? "";
  const place = { from: caret - typed.length, typed };
  if (inner?.mark === "{") return { kind: "label", metric, ...place };
  if (inner?.mark === "[") return { kind: "duration", ...place };
  if (inner?.mark === "(" && LISTS.has(inner.before)) return { kind: "label", metric: "", ...place };
  // A number, or the unit behind it, is no name.
  return /^[0-9.]/.test(typed) ? undefined : { kind: "metric", ...place };
}

/** Where an error says it is: `2:17: parse error: ...` means line 2, column 17 of the text. */
export interface Fault {
  /** Place in the text; its length when it is the end. */
  at: number;
  what: string;
}

export function faultOf(text: string, message: string): Fault | undefined {
  const [, line, column, what] = /(?:^|[\s:])(\d+):(\d+): (.*)$/s.exec(message) ?? [];
  if (line === undefined || column === undefined || what === undefined) return undefined;
  const lines = text.split("\n");
  const before = lines.slice(0, Number(line) - 1).reduce((sum, one) => sum + one.length + 1, 0);
  // Columns count characters, as people do; a text counts pairs of a character beyond the first plane twice.
  const within = [...(lines[Number(line) - 1] ?? "")].slice(0, Number(column) - 1).join("").length;
  return { at: Math.min(before + within, text.length), what };
}

/** What a word that starts like `typed` may become: the same beginning first, then anywhere inside. */
export function offers<T extends { name: string }>(all: readonly T[], typed: string, most: number): T[] {
  const wanted = typed.toLowerCase();
  const begins: T[] = [];
  const holds: T[] = [];
  for (const one of all) {
    const at = one.name.toLowerCase().indexOf(wanted);
    if (at === 0) begins.push(one);
    else if (at > 0 && wanted.length > 1) holds.push(one);
  }
  return [...begins, ...holds].slice(0, most);
}
