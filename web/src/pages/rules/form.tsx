/**
 * The form side of a rule. A field that a rule of the program does not change shows what it
 * comes with as its placeholder, so that only what differs is ever saved.
 */

import type { Problem } from "../../data/api";
import type { RuleDetail } from "../../data/types";
import { CheckField, SelectField, TextField } from "../../parts/form";
import type { Draft } from "../../parts/draft";
import { SEVERITIES } from "../../parts/severity";
import { parts, rule as words } from "../../text";
import { plain } from "../../text/units";

export type Kind = keyof typeof words.kinds;

/** What kind of rule the draft is; where it does not say, what the rule in force is. */
export function kindOf(draft: Draft, inForce: RuleDetail | undefined): Kind {
  const section = draft.section.value;
  if ("record" in section) return "record";
  if ("levels" in section || "op" in section) return "levels";
  if ("severity" in section) return "any";
  if (!inForce) return "levels";
  if (inForce.kind === "record") return "record";
  return inForce.levels.length > 0 ? "levels" : "any";
}

/** Makes it another kind: the keys of the others go. */
function turn(draft: Draft, kind: Kind): void {
  const { levels, op, clear_margin, clear, severity, record, ...rest } = draft.section.value;
  if (kind === "levels") draft.replace({ ...rest, op: op ?? ">", levels: levels ?? {} });
  else if (kind === "any") draft.replace({ ...rest, severity: severity ?? "medium" });
  else draft.replace({ ...rest, record: record ?? "" });
}

interface Props {
  draft: Draft;
  inForce: RuleDetail | undefined;
  problem: Problem | undefined;
  channels: readonly string[];
}

/** Pointers of the fields below; what a refusal says elsewhere stands above the form. */
export const POINTERS = [
  "/name",
  "/expr",
  "/op",
  "/levels",
  "/clear_margin",
  "/severity",
  "/record",
  "/for",
  "/clear_for",
  "/title",
  "/message",
  "/notify",
  "/depends_on",
  "/runbook",
];

export function RuleForm({ draft, inForce, problem, channels }: Props) {
  const kind = kindOf(draft, inForce);
  const at = { problem };
  return (
    <div class="form">
      {!inForce && <TextField label={words.name} hint={words.nameHint} value={draft.field("name")} pointer="/name" mono required focus {...at} />}
      <TextField
        label={words.expr}
        hint={words.exprHint}
        value={draft.field("expr")}
        placeholder={inForce?.expr ?? ""}
        pointer="/expr"
        rows={4}
        mono
        {...at}
      />
      <SelectField
        label={words.kind}
        value={{
          get value() {
            return kind;
          },
          set value(next: string) {
            turn(draft, next as Kind);
          },
        }}
        options={Object.entries(words.kinds)}
      />
      {kind === "levels" && <Levels draft={draft} inForce={inForce} problem={problem} />}
      {kind === "any" && (
        <SelectField
          label={words.severity}
          value={draft.field("severity")}
          options={[
            ...("severity" in draft.section.value ? [] : [["", inForce?.severity ? words.inherited(inForce.severity) : ""] as const]),
            ...SEVERITIES.map((one) => [one, parts.severities[one]] as const),
          ]}
          pointer="/severity"
          {...at}
        />
      )}
      {kind === "record" && <TextField label={words.record} value={draft.field("record")} pointer="/record" mono {...at} />}
      {kind !== "record" && (
        <>
          <div class="fields">
            <TextField label={words.hold} hint={words.holdHint} value={draft.field("for")} placeholder={inForce?.for ?? ""} pointer="/for" {...at} />
            {kind === "levels" && <TextField label={words.clearFor} value={draft.field("clear_for")} pointer="/clear_for" {...at} />}
          </div>
          <TextField label={words.titleField} value={draft.field("title")} placeholder={inForce?.title ?? ""} pointer="/title" {...at} />
          <TextField
            label={words.message}
            hint={words.messageHint}
            value={draft.field("message")}
            placeholder={inForce?.message ?? ""}
            pointer="/message"
            rows={2}
            {...at}
          />
          <details>
            <summary>{words.more}</summary>
            <div class="form">
              <TextField
                label={words.notify}
                hint={`${words.notifyHint} ${channels.join(", ")}`}
                value={draft.list("notify")}
                placeholder={inForce?.notify.join(", ") ?? ""}
                pointer="/notify"
                {...at}
              />
              <TextField
                label={words.dependsOn}
                hint={words.dependsHint}
                value={draft.list("depends_on")}
                placeholder={inForce?.depends_on.join(", ") ?? ""}
                pointer="/depends_on"
                {...at}
              />
              <TextField label={words.runbook} value={draft.field("runbook")} placeholder={inForce?.runbook ?? ""} pointer="/runbook" {...at} />
            </div>
          </details>
        </>
      )}
      <CheckField label={words.enabled} value={draft.flag("enabled", inForce?.enabled ?? true)} />
    </div>
  );
}

function Levels({ draft, inForce, problem }: Omit<Props, "channels">) {
  const ops = Object.entries(words.ops);
  const come = inForce?.op;
  return (
    <fieldset class="levels">
      <div class="fields">
        <SelectField
          label={words.op}
          value={draft.field("op")}
          options={"op" in draft.section.value || !come ? ops : [["", words.inherited(words.ops[come as keyof typeof words.ops])], ...ops]}
          pointer="/op"
          problem={problem}
        />
        <TextField
          label={words.margin}
          hint={words.marginHint}
          value={draft.field("clear_margin", true)}
          placeholder={plain(inForce?.clear_margin)}
          type="number"
          pointer="/clear_margin"
          problem={problem}
        />
      </div>
      <div class="fields six">
        {SEVERITIES.map((severity) => (
          <TextField
            key={severity}
            label={parts.severities[severity]}
            value={draft.below("levels", severity)}
            placeholder={plain(inForce?.levels.find((level) => level.severity === severity)?.value)}
            type="number"
            pointer={`/levels/${severity}`}
            problem={problem}
          />
        ))}
      </div>
    </fieldset>
  );
}
