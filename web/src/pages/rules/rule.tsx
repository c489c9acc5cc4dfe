/** One rule, or a new one: form and TOML as two views of it, its value now, its replay. */

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { call, Problem } from "../../data/api";
import { usePolled } from "../../data/poll";
import type { Section } from "../../data/toml";
import type { RuleDetail } from "../../data/types";
import { useAction } from "../../parts/action";
import { confirm } from "../../parts/confirm";
import { Draft } from "../../parts/draft";
import { FormProblem } from "../../parts/form";
import { Loaded } from "../../parts/loaded";
import { rankOf, SEVERITIES } from "../../parts/severity";
import { TomlEditor } from "../../parts/toml_editor";
import { href, navigate, NEW } from "../../router";
import { rule as words } from "../../text";
import type { PageProps } from "../index";
import { POINTERS, RuleForm } from "./form";
import { History } from "./history";
import { Now, type Judged } from "./now";
import { ReplayPart } from "./replay";

const ORDER = ["name", "alert", "record", "expr", "op", "levels", "clear_margin", "severity", "for", "clear_for", "title", "message"];
const FRESH: Section = { name: "", expr: "", op: ">", levels: {}, for: "1m" };
/** Typing stops for so long before the agent is asked, ms. */
const SETTLE = 500;

export function RulePage({ params }: PageProps) {
  const name = params["name"] ?? "";
  if (name === NEW) return <Editor />;
  return <Existing name={name} />;
}

function Existing({ name }: { name: string }) {
  const detail = usePolled((signal) => call("GET /api/v1/monitoring/rules/{name}", { path: { name }, signal }), 15_000);
  return (
    <Loaded resource={detail} what={words.form}>
      {(rule) => <Editor rule={rule} reload={detail.retry} />}
    </Loaded>
  );
}

/** What the draft holds of the rule: nothing but its name where it is as it came. */
function sectionOf(rule: RuleDetail | undefined): Section {
  if (!rule) return FRESH;
  const section: Section = { ...(rule.config as Section | null), name: rule.name };
  const given = section["levels"];
  // The mildest first, as people write them; the agent sends them by the alphabet.
  if (given) section["levels"] = Object.fromEntries(rule.levels.flatMap(({ severity, value }) => (severity in (given as Section) ? [[severity, value]] : [])));
  return section;
}

/** Expression and levels as they would be in force. */
function judge(section: Section, rule: RuleDetail | undefined): Judged {
  const given = section["levels"];
  const changed = typeof given === "object" && given !== null && !Array.isArray(given) ? given : {};
  const levels = new Map((rule?.levels ?? []).map((level) => [level.severity, level.value]));
  for (const severity of SEVERITIES) {
    const value = changed[severity];
    if (typeof value === "number") levels.set(severity, value);
  }
  const text = (key: string) => (typeof section[key] === "string" ? section[key] : undefined);
  return {
    expr: text("expr") ?? rule?.expr ?? "",
    op: text("op") ?? rule?.op ?? ">=",
    levels: [...levels].map(([severity, value]) => ({ severity, value })).sort((a, b) => rankOf(a.severity) - rankOf(b.severity)),
  };
}

function Editor({ rule, reload }: { rule?: RuleDetail; reload?: () => void }) {
  const draft = useMemo(() => new Draft("rule", sectionOf(rule), ORDER), []);
  const channels = usePolled((signal) => call("GET /api/v1/monitoring/channels", { query: { limit: 1000 }, signal }), 60_000);
  const judged = useComputed(() => judge(draft.section.value, rule));
  const found = useLint(draft, rule !== undefined);
  const save = useAction(async () => {
    const body = draft.section.value;
    const name = String(body["name"] ?? "");
    if (rule) await call("PUT /api/v1/monitoring/rules/{name}", { path: { name: rule.name }, body });
    else await call("POST /api/v1/monitoring/rules", { body });
    draft.reset(body);
    if (!rule) navigate(`/rules/${encodeURIComponent(name)}`);
    reload?.();
    return words.saved(name);
  }, true);
  const problem = save.problem.value ?? found.value;
  return (
    <form
      class="page"
      onSubmit={(event) => {
        event.preventDefault();
        void save.run();
      }}
    >
      <div class="head-row">
        <h1>{rule?.name ?? words.newTitle}</h1>
        {draft.changed && rule && (
          <button type="button" class="button" onClick={() => draft.reset(sectionOf(rule))}>
            {words.discard}
          </button>
        )}
        {rule && (rule.origin === "configured" || rule.config) && <Remove rule={rule} />}
        <button type="submit" class="button primary" disabled={save.busy.value || draft.fault.value !== "" || (rule !== undefined && !draft.changed)}>
          {words.save}
        </button>
        <p class="lead muted">
          <a href={href("/rules")}>{words.back}</a>
        </p>
      </div>
      {rule?.error && <p class="problem">{words.health(rule.error)}</p>}
      <FormProblem problem={save.problem.value} pointers={POINTERS} />
      <div class="columns">
        <section class="card pad" aria-label={words.form}>
          <RuleForm draft={draft} inForce={rule} problem={problem} channels={channels.value.value?.items.map((one) => one.name) ?? []} />
        </section>
        <section class="card pad" aria-label={words.toml}>
          <TomlEditor draft={draft} label={words.toml} hint={words.tomlHint} rows={22} />
        </section>
      </div>
      <Now judged={judged} />
      <ReplayPart section={() => draft.section.value} />
      {rule && <History name={rule.name} />}
    </form>
  );
}

/** What the agent thinks of the draft, a moment after the last change. */
function useLint(draft: Draft, existing: boolean) {
  const found = useSignal<Problem | undefined>(undefined);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let asked = 0;
    const ask = async () => {
      const section = draft.section.value;
      // A rule that nobody began is not wrong yet.
      if (!existing && (section["expr"] === "" || section["expr"] === undefined)) return void (found.value = undefined);
      const mine = ++asked;
      const body = section["name"] === "" ? { ...section, name: "draft" } : section;
      const answer = await call("POST /api/v1/monitoring/rules/lint", { body }).then(
        ({ errors }) => (errors.length === 0 ? undefined : new Problem(422, "", "", "lint", "", "", errors)),
        (error: unknown) => (error instanceof Problem && error.errors.length > 0 ? error : undefined),
      );
      if (mine === asked) found.value = answer;
    };
    const stop = draft.section.subscribe(() => {
      clearTimeout(timer);
      timer = setTimeout(() => void ask(), SETTLE);
    });
    return () => {
      stop();
      clearTimeout(timer);
      asked += 1;
    };
  }, []);
  return found;
}

/** Takes a rule away; of one that came with the program only what was changed goes. */
function Remove({ rule }: { rule: RuleDetail }) {
  const shipped = rule.origin === "shipped";
  const action = shipped ? words.revert : words.remove;
  const remove = useAction(async () => {
    const text = shipped ? words.revertText(rule.name) : words.removeText(rule.name);
    if (!(await confirm({ title: shipped ? words.revertTitle : words.removeTitle, text, action }))) return;
    await call("DELETE /api/v1/monitoring/rules/{name}", { path: { name: rule.name } });
    navigate("/rules");
    return shipped ? words.reverted(rule.name) : words.removed(rule.name);
  });
  return (
    <button type="button" class="button" disabled={remove.busy.value} onClick={() => void remove.run()}>
      {action}
    </button>
  );
}
