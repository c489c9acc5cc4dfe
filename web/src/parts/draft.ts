/**
 * A section of the configuration while it is edited: one object that the fields of a form
 * and a text in TOML show and change alike. An emptied field is a key that is left out.
 */

import { signal, type Signal } from "@preact/signals";

import { fromToml, TomlError, toToml, type Json, type Section } from "../data/toml";
import { rule as words } from "../text";

/** Something a field can be bound to: a signal, or a view of one. */
export interface Bound<T> {
  value: T;
}

export class Draft {
  readonly section: Signal<Section>;
  readonly text: Signal<string>;
  /** Why the text is not a section; empty when it is one. */
  readonly fault = signal("");
  private start: string;

  constructor(
    readonly name: string,
    given: Section,
    private readonly order: readonly string[],
  ) {
    this.section = signal(given);
    this.start = toToml(name, given, order);
    this.text = signal(this.start);
  }

  get changed(): boolean {
    return this.fault.value !== "" || toToml(this.name, this.section.value, this.order) !== this.start;
  }

  reset(given: Section): void {
    this.replace(given);
    this.start = this.text.value;
  }

  replace(given: Section): void {
    this.section.value = given;
    this.text.value = toToml(this.name, given, this.order);
    this.fault.value = "";
  }

  /** Takes what was typed as text; the form follows as soon as it is whole. */
  write(text: string): void {
    this.text.value = text;
    try {
      this.section.value = fromToml(this.name, text);
      this.fault.value = "";
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      this.fault.value = words.line(error.line, error.what);
    }
  }

  set(key: string, value: Json | undefined): void {
    const { [key]: _, ...rest } = this.section.value;
    this.replace(value === undefined || value === "" ? rest : { ...this.section.value, [key]: value });
  }

  /** A text, or a number where `numeric`. */
  field(key: string, numeric = false): Bound<string> {
    const draft = this;
    return {
      get value() {
        const held = draft.section.value[key];
        return held === undefined || held === null ? "" : String(held);
      },
      set value(typed: string) {
        draft.set(key, numeric ? numberOf(typed) : typed);
      },
    };
  }

  /** Words separated by commas. */
  list(key: string): Bound<string> {
    const draft = this;
    return {
      get value() {
        const held = draft.section.value[key];
        return Array.isArray(held) ? held.join(", ") : "";
      },
      set value(typed: string) {
        const words = typed.split(",").map((word) => word.trim()).filter((word) => word !== "");
        draft.set(key, words.length === 0 ? undefined : words);
      },
    };
  }

  /** A number in a table below: `levels.high`. */
  below(table: string, key: string): Bound<string> {
    const draft = this;
    const held = () => {
      const found = draft.section.value[table];
      return typeof found === "object" && found !== null && !Array.isArray(found) ? found : {};
    };
    return {
      get value() {
        return String(held()[key] ?? "");
      },
      set value(typed: string) {
        const { [key]: _, ...rest } = held();
        const number = numberOf(typed);
        const next = number === undefined ? rest : { ...held(), [key]: number };
        draft.set(table, Object.keys(next).length === 0 ? undefined : next);
      },
    };
  }

  flag(key: string, without: boolean): Bound<boolean> {
    const draft = this;
    return {
      get value() {
        const held = draft.section.value[key];
        return typeof held === "boolean" ? held : without;
      },
      set value(set: boolean) {
        draft.set(key, set);
      },
    };
  }
}

function numberOf(typed: string): number | undefined {
  const number = Number(typed);
  return typed.trim() === "" || !Number.isFinite(number) ? undefined : number;
}
