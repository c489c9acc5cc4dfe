/** Every value in force with its origin; one at a time can be changed. */

import { useComputed, useSignal, type Signal } from "@preact/signals";

import { Problem } from "../../data/api";
import { CHOICES, isListed, kindOf, pageOf, sectionOf, textOf, valueOf, type Config, type Origin, type Value } from "../../data/config";
import type { Resource } from "../../data/poll";
import { Dialog } from "../../parts/dialog";
import { Empty } from "../../parts/empty";
import { ChoiceFilter, FilterBar, SearchFilter } from "../../parts/filters";
import { FormProblem, SelectField, TextField } from "../../parts/form";
import { Table, type Column } from "../../parts/table";
import { filter, href } from "../../router";
import { parts, settings as words } from "../../text";
import { useApply } from "./apply";

const FILTERS = ["q", "section", "show"] as const;

export function originText(origin: Origin): string {
  switch (origin.source) {
    case "default":
      return words.origins.default;
    case "file":
      return origin.line > 0 ? `${origin.file}:${origin.line}` : origin.file;
    case "runtime":
      return words.origins.runtime(origin.by);
    case "environment":
      return words.origins.environment(origin.name);
    default:
      return words.origins.flag(origin.name);
  }
}

function matches(one: Value): boolean {
  const wanted = filter("q").toLowerCase();
  if (filter("section") !== "" && sectionOf(one.key) !== filter("section")) return false;
  if (!`${one.key} ${textOf(one.value)}`.toLowerCase().includes(wanted)) return false;
  switch (filter("show")) {
    case "changed":
      return one.origin.source !== "default";
    case "runtime":
      return one.origin.source === "runtime";
    case "file":
      return one.origin.source === "file";
    case "pinned":
      return one.pinned;
    default:
      // What a rule or a target leaves at its default says nothing here; its own page has it.
      return !isListed(one.key) || one.origin.source !== "default" || wanted !== "";
  }
}

export function ValueText({ value }: { value: unknown }) {
  if (typeof value === "boolean") return <>{words.flags[`${value}`]}</>;
  if (typeof value === "object" && value !== null && "set" in value) return <span class="muted">{words.secret}</span>;
  const text = textOf(value);
  return text === "" ? <span class="muted">{words.unset}</span> : <code class="anywhere">{text}</code>;
}

export function Values({ config, held }: { config: Resource<Config>; held: Config }) {
  const edited = useSignal<Value | undefined>(undefined);
  const sections = [...new Set(held.shown.values.map((one) => sectionOf(one.key)))];
  return (
    <>
      <FilterBar names={FILTERS}>
        <SearchFilter name="q" label={words.search} />
        <ChoiceFilter name="section" label={words.section} options={sections.map((one) => [one, one] as const)} />
        <ChoiceFilter name="show" label={words.show} options={Object.entries(words.shows)} />
      </FilterBar>
      <Table
        label={words.tabs.config}
        columns={columnsOf(edited)}
        rows={held.shown.values.filter(matches)}
        keyOf={(one) => one.key}
        empty={<Empty title={words.emptyTitle} text={words.emptyText} />}
      />
      <EditDialog edited={edited} config={config} />
    </>
  );
}

function columnsOf(edited: Signal<Value | undefined>): Column<Value>[] {
  return [
    { id: "key", title: words.columns.key, head: true, sort: (one) => one.key, cell: (one) => <code class="strong anywhere">{one.key}</code> },
    { id: "value", title: words.columns.value, wide: true, sort: (one) => textOf(one.value), cell: (one) => <ValueText value={one.value} /> },
    {
      id: "origin",
      title: words.columns.origin,
      sort: (one) => originText(one.origin),
      cell: (one) => (
        <span class="tags">
          <span class={one.origin.source === "default" ? "muted" : undefined}>{originText(one.origin)}</span>
          {one.pinned && (
            <span class="tag" title={words.pinnedWhy}>
              {words.pinned}
            </span>
          )}
        </span>
      ),
    },
    { id: "deed", title: words.edit, quiet: true, cell: (one) => <Deed one={one} edited={edited} /> },
  ];
}

function Deed({ one, edited }: { one: Value; edited: Signal<Value | undefined> }) {
  if (isListed(one.key)) {
    const page = pageOf(one.key);
    if (page === undefined) return null;
    return (
      <a class="button small" href={href(page)} aria-label={`${words.open} ${one.key}`}>
        {words.open}
      </a>
    );
  }
  if (one.pinned) return null;
  return (
    <button type="button" class="button small" aria-label={words.editKey(one.key)} onClick={() => (edited.value = one)}>
      {words.edit}
    </button>
  );
}

function EditDialog({ edited, config }: { edited: Signal<Value | undefined>; config: Resource<Config> }) {
  const open = useComputed(() => edited.value !== undefined);
  const close = () => (edited.value = undefined);
  return (
    <Dialog open={open} onClose={close} title={edited.value?.key ?? ""}>
      {edited.value && <Edit one={edited.value} config={config} close={close} />}
    </Dialog>
  );
}

function Edit({ one, config, close }: { one: Value; config: Resource<Config>; close: () => void }) {
  const kind = kindOf(one);
  const typed = useSignal(textOf(one.value) || (typeof one.value === "boolean" ? String(one.value) : ""));
  const fault = useSignal<Problem | undefined>(undefined);
  const apply = useApply(config, close);
  const pointer = `/${one.key.replaceAll(".", "/")}`;
  const problem = fault.value ?? apply.problem.value;
  const save = () => {
    fault.value = undefined;
    try {
      void apply.run({ [one.key]: valueOf(kind, typed.value) });
    } catch {
      fault.value = new Problem(0, words.noJson, "", "", "", "", [{ pointer, detail: words.noJson }]);
    }
  };
  const choices = kind === "flag" ? Object.entries(words.flags) : CHOICES[one.key]?.map((word) => [word, word] as const);
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      {choices ? (
        <SelectField label={words.value} value={typed} options={choices} pointer={pointer} problem={problem} />
      ) : (
        <TextField
          label={words.value}
          value={typed}
          mono
          focus
          rows={kind === "json" ? 8 : 1}
          placeholder={words.unset}
          pointer={pointer}
          problem={problem}
          hint={kind === "list" ? words.listHint : undefined}
        />
      )}
      <p class="muted">
        {words.default}: <ValueText value={one.default} />
        <br />
        {words.columns.origin}: {originText(one.origin)}
      </p>
      <FormProblem problem={apply.problem.value} pointers={[pointer]} />
      <p class="dialog-foot">
        {one.origin.source === "runtime" && (
          <>
            <button type="button" class="button plain" disabled={apply.busy.value} onClick={() => void apply.run({ [one.key]: null })}>
              {words.back}
            </button>
            <span class="spring" />
          </>
        )}
        <button type="button" class="button" onClick={close}>
          {parts.cancel}
        </button>
        <button type="submit" class="button primary" disabled={apply.busy.value}>
          {words.save}
        </button>
      </p>
    </form>
  );
}
