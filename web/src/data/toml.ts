/**
 * TOML of one section of the configuration, both ways: what the editor shows beside a form.
 *
 * It knows what sections use: strings, numbers, booleans, arrays, inline tables, tables
 * below the section and lists of them. Dates are not among it. The agent checks meaning.
 */

import { toml as words } from "../text";

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type Section = { [key: string]: Json };

export class TomlError extends Error {
  constructor(
    readonly line: number,
    readonly what: string,
  ) {
    super(what);
  }
}

const BARE = /^[A-Za-z0-9_-]+$/;
const keyText = (key: string) => (BARE.test(key) ? key : JSON.stringify(key));
const isTable = (value: Json | undefined): value is Section => typeof value === "object" && value !== null && !Array.isArray(value);

function valueText(value: Json): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(valueText).join(", ")}]`;
  if (!isTable(value)) return String(value);
  const parts = entries(value).map(([key, one]) => `${keyText(key)} = ${valueText(one)}`);
  return parts.length === 0 ? "{}" : `{ ${parts.join(", ")} }`;
}

const entries = (table: Section) => Object.entries(table).filter(([, value]) => value !== null);
const isList = (value: Json) => Array.isArray(value) && value.length > 0 && value.every(isTable);

/** `first` names the keys that come first; the rest follow as they are. */
export function toToml(name: string, section: Section, first: readonly string[] = []): string {
  const order = (key: string) => (first.includes(key) ? first.indexOf(key) : first.length);
  const sorted = entries(section).sort(([a], [b]) => order(a) - order(b));
  const lines = [`[[${name}]]`];
  for (const [key, value] of sorted) if (!isList(value)) lines.push(`${keyText(key)} = ${valueText(value)}`);
  for (const [key, value] of sorted) {
    if (!isList(value)) continue;
    for (const one of value as Section[]) {
      lines.push("", `[[${name}.${keyText(key)}]]`);
      for (const [inner, text] of entries(one)) lines.push(`${keyText(inner)} = ${valueText(text)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** Reads one `[[name]]` section; a header is not required. Throws a [`TomlError`]. */
export function fromToml(name: string, text: string): Section {
  return new Reader(name, text).section();
}

class Reader {
  private at = 0;

  constructor(
    private readonly name: string,
    private readonly text: string,
  ) {}

  section(): Section {
    const result: Section = {};
    let into = result;
    for (;;) {
      this.skip(/(?:\s|#[^\n]*)+/y);
      if (this.at >= this.text.length) return result;
      if (this.text[this.at] === "[") into = this.header(result);
      else this.pair(into);
      this.skip(/[ \t]*(?:#[^\n]*)?/y);
      if (this.at < this.text.length && !this.skip(/\r?\n/y)) this.fail(words.endOfLine);
    }
  }

  private header(result: Section): Section {
    const double = this.skip(/\[\[/y) !== "";
    if (!double) this.at += 1;
    const path = [this.key()];
    while (this.skip(/\s*\.\s*/y)) path.push(this.key());
    if (!this.skip(double ? /\]\]/y : /\]/y)) this.fail(words.close(double ? "]]" : "]"));
    const own = this.name.split(".");
    if (own.some((part, i) => path[i] !== part)) this.fail(words.below(this.name));
    const below = path.slice(own.length);
    let table = result;
    below.forEach((part, i) => {
      const held = table[part];
      const fresh: Section = {};
      if (double && i === below.length - 1) table[part] = [...(Array.isArray(held) ? held : []), fresh];
      else if (isTable(held)) return void (table = held);
      else table[part] = fresh;
      table = fresh;
    });
    return table;
  }

  private pair(into: Section): void {
    let table = into;
    let key = this.key();
    while (this.skip(/\s*\.\s*/y)) {
      const held = table[key];
      const next: Section = isTable(held) ? held : {};
      table[key] = next;
      table = next;
      key = this.key();
    }
    if (!this.skip(/[ \t]*=[ \t]*/y)) this.fail(words.equals(key));
    if (key in table) this.fail(words.twice(key));
    table[key] = this.value();
  }

  private key(): string {
    const quoted = this.text[this.at];
    if (quoted === '"' || quoted === "'") return String(this.value());
    const key = this.skip(/[A-Za-z0-9_-]+/y);
    if (key === "") this.fail(words.key);
    return key;
  }

  private value(): Json {
    const rest = this.text.slice(this.at, this.at + 3);
    if (rest === '"""' || rest === "'''") return this.long(rest);
    if (rest.startsWith('"')) return this.escaped(this.skip(/"(?:[^"\\\n]|\\.)*"/y));
    if (rest.startsWith("'")) return this.skip(/'[^'\n]*'/y).slice(1, -1);
    if (rest.startsWith("[")) return this.array();
    if (rest.startsWith("{")) return this.inline();
    const word = this.skip(/[^\s,\]}#]+/y);
    if (word === "true" || word === "false") return word === "true";
    const number = Number(word.replaceAll("_", ""));
    if (word === "" || !Number.isFinite(number)) this.fail(words.value(word));
    return number;
  }

  private escaped(text: string): string {
    try {
      return JSON.parse(text) as string;
    } catch {
      return this.fail(words.quotes);
    }
  }

  private long(quotes: string): string {
    const end = this.text.indexOf(quotes, this.at + 3);
    if (end < 0) this.fail(words.long(quotes));
    const inner = this.text.slice(this.at + 3, end).replace(/^\r?\n/, "");
    this.at = end + 3;
    if (quotes === "'''") return inner;
    const joined = inner.replace(/\\\r?\n\s*/g, "");
    return this.escaped(`"${joined.replaceAll("\r", "").replaceAll("\n", "\\n").replaceAll("\t", "\\t").replace(/(?<!\\)"/g, '\\"')}"`);
  }

  private array(): Json[] {
    const values: Json[] = [];
    const gap = /(?:\s|#[^\n]*)+/y;
    this.at += 1;
    for (;;) {
      this.skip(gap);
      if (this.skip(/\]/y)) return values;
      values.push(this.value());
      this.skip(gap);
      if (this.skip(/,/y) || this.text[this.at] === "]") continue;
      this.fail(words.comma("]"));
    }
  }

  private inline(): Section {
    const table: Section = {};
    this.at += 1;
    for (;;) {
      this.skip(/\s+/y);
      if (this.skip(/\}/y)) return table;
      this.pair(table);
      this.skip(/\s+/y);
      if (this.skip(/,/y) || this.text[this.at] === "}") continue;
      this.fail(words.comma("}"));
    }
  }

  /** Takes what stands here, if it is like that. */
  private skip(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? "";
    this.at += found.length;
    return found;
  }

  private fail(what: string): never {
    throw new TomlError(this.text.slice(0, this.at).split("\n").length, what);
  }
}
