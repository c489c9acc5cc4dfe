/**
 * A section of the configuration as a form and as TOML side by side, for things whose few
 * usual keys are fields; whatever else the section takes is written on the other side.
 * What the agent refuses stands beside the field it is about.
 */

import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";

import { usePolled } from "../data/poll";
import type { Section } from "../data/toml";
import { href, navigate } from "../router";
import { parts, section as words } from "../text";
import { useAction } from "./action";
import { Draft } from "./draft";
import { CheckField, FormProblem, SelectField, TextField } from "./form";
import { Loaded } from "./loaded";
import { TomlEditor } from "./toml_editor";

/** A key of a section that has a field. */
export interface Key {
  key: string;
  words: string;
  hint?: string;
  example?: string;
  /** What it holds when it is not a text. */
  form?: "number" | "list" | "secret" | "flag";
  /** Of a flag that is not set. */
  without?: boolean;
  options?: readonly string[];
}

interface Props {
  /** Its header in the file: `target.postgres`. */
  name: string;
  given: Section;
  keys: readonly Key[];
  /** Only a new one can be named. */
  fresh: boolean;
  /** Stands above the fields of a new one. */
  children?: ComponentChildren;
  /** Answers what to say. */
  save: (section: Section) => Promise<string>;
  cancel?: () => void;
}

export function SectionForm({ name, given, keys, fresh, children, save, cancel }: Props) {
  const draft = useMemo(() => new Draft(name, given, ["name", ...keys.map((one) => one.key)]), []);
  const action = useAction(async () => {
    const said = await save(draft.section.value);
    draft.reset(draft.section.value);
    return said;
  }, true);
  const problem = action.problem.value;
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void action.run();
      }}
    >
      <FormProblem problem={problem} pointers={["/name", ...keys.map((one) => `/${one.key}`)]} />
      <div class="columns">
        <section class="card pad" aria-label={words.form}>
          <div class="form">
            {fresh && children}
            {fresh && <TextField label={words.name} hint={words.nameHint} value={draft.field("name")} pointer="/name" problem={problem} mono required focus />}
            {keys.map((one) => (
              <KeyField key={one.key} of={one} draft={draft} problem={problem} />
            ))}
          </div>
        </section>
        <section class="card pad" aria-label={words.toml}>
          <TomlEditor draft={draft} label={words.toml} hint={words.tomlHint} rows={Math.max(12, keys.length * 3)} />
        </section>
      </div>
      <p class="dialog-foot">
        {cancel && (
          <button type="button" class="button" onClick={cancel}>
            {parts.cancel}
          </button>
        )}
        {!fresh && draft.changed && (
          <button type="button" class="button" onClick={() => draft.reset(given)}>
            {words.discard}
          </button>
        )}
        <button type="submit" class="button primary" disabled={action.busy.value || draft.fault.value !== "" || (!fresh && !draft.changed)}>
          {words.save}
        </button>
      </p>
    </form>
  );
}

function KeyField({ of, draft, problem }: { of: Key; draft: Draft; problem: Parameters<typeof FormProblem>[0]["problem"] }) {
  const common = { label: of.words, pointer: `/${of.key}`, problem, ...(of.hint !== undefined && { hint: of.hint }) };
  if (of.form === "flag") return <CheckField label={of.words} value={draft.flag(of.key, of.without ?? false)} />;
  if (of.options) {
    const value = draft.field(of.key);
    return <SelectField {...common} value={value} options={["", ...of.options].map((one) => [one, one || words.standard] as const)} />;
  }
  return (
    <TextField
      {...common}
      value={of.form === "list" ? draft.list(of.key) : draft.field(of.key, of.form === "number")}
      type={of.form === "secret" ? "password" : "text"}
      placeholder={of.example ?? ""}
    />
  );
}

interface NewProps {
  title: string;
  /** The list that it joins, such as `/targets`, and the words of the way back. */
  list: string;
  back: string;
  form: Omit<Props, "fresh" | "cancel" | "save">;
  /** Makes it; then its own page is shown. */
  create: (section: Section) => Promise<unknown>;
  saved: (name: string) => string;
}

/** The page on which one of them is made. */
export function NewSection({ title, list, back, form, create, saved }: NewProps) {
  const save = async (section: Section) => {
    await create(section);
    const name = String(section["name"] ?? "");
    navigate(`${list}/${encodeURIComponent(name)}`);
    return saved(name);
  };
  return (
    <div class="page">
      <div class="head-row">
        <h1>{title}</h1>
        <p class="lead muted">
          <a href={href(list)}>{back}</a>
        </p>
      </div>
      <SectionForm key={form.name} {...form} fresh save={save} cancel={() => navigate(list)} />
    </div>
  );
}

interface StoredProps {
  name: string;
  keys: readonly Key[];
  /** Asked for once: what is typed must not be replaced. */
  load: (signal: AbortSignal) => Promise<Record<string, unknown>>;
  save: Props["save"];
}

const ONCE = 24 * 3600 * 1000;

/** The settings of one that exists. */
export function StoredSection({ name, keys, load, save }: StoredProps) {
  const config = usePolled(load, ONCE);
  return (
    <Loaded resource={config} what={words.form}>
      {(given) => <SectionForm name={name} given={sectionOf(given)} keys={keys} fresh={false} save={save} />}
    </Loaded>
  );
}

/** As the file has it: what is not set is left out, and a kind stands in the header. */
export function sectionOf(config: Record<string, unknown>): Section {
  return Object.fromEntries(Object.entries(config as Section).filter(([key, value]) => value !== null && key !== "kind"));
}
