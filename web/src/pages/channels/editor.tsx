/** Sets a channel up: its kind's few keys as fields, everything as TOML. */

import { useComputed, type Signal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import { call } from "../../data/api";
import { CHANNEL_KINDS } from "../../data/channel_kinds";
import type { Section } from "../../data/toml";
import type { Channel } from "../../data/types";
import { useAction } from "../../parts/action";
import { confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Draft } from "../../parts/draft";
import { CheckField, FormProblem, SelectField, TextField } from "../../parts/form";
import { TomlEditor } from "../../parts/toml_editor";
import { channels as words, parts } from "../../text";

/** Without a section: a new channel. */
export interface Edited {
  section?: Record<string, unknown>;
}

const ORDER = ["kind", "name", "url", "host", "enabled"];
const FRESH: Section = { kind: "ntfy", name: "" };

export async function removeChannel(channel: Channel): Promise<string | void> {
  const text = words.removeText(channel.name, channel.queued);
  const question = { title: words.removeTitle, text, action: words.remove };
  if (!(await confirm(channel.queued > 0 ? { ...question, word: channel.name } : question))) return;
  await call("DELETE /api/v1/monitoring/channels/{name}", { path: { name: channel.name } });
  return words.removed(channel.name);
}

export function ChannelDialog({ edited, done }: { edited: Signal<Edited | undefined>; done: () => void }) {
  const open = useComputed(() => edited.value !== undefined);
  const section = edited.value?.section as Section | undefined;
  const title = section ? words.editTitle(String(section["name"])) : words.newTitle;
  return (
    <Dialog open={open} onClose={() => (edited.value = undefined)} title={title} kind="wide">
      <Form
        given={section}
        close={(saved) => {
          edited.value = undefined;
          if (saved) done();
        }}
      />
    </Dialog>
  );
}

function Form({ given, close }: { given: Section | undefined; close: (saved: boolean) => void }) {
  const draft = useMemo(() => new Draft("channel", given ?? FRESH, ORDER), []);
  const save = useAction(async () => {
    const body = draft.section.value;
    const name = String(body["name"] ?? "");
    if (given) await call("PUT /api/v1/monitoring/channels/{name}", { path: { name: String(given["name"]) }, body });
    else await call("POST /api/v1/monitoring/channels", { body });
    close(true);
    return words.saved(name);
  }, true);
  const keys = CHANNEL_KINDS[String(draft.section.value["kind"])] ?? [];
  const problem = save.problem.value;
  const kinds = Object.keys(CHANNEL_KINDS).map((kind) => [kind, kind] as const);
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void save.run();
      }}
    >
      <div class="columns">
        <div class="form">
          {!given && (
            <>
              <SelectField label={words.kind} value={draft.field("kind")} options={kinds} pointer="/kind" problem={problem} />
              <TextField label={words.name} hint={words.nameHint} value={draft.field("name")} pointer="/name" problem={problem} required focus />
            </>
          )}
          {keys.map((one) => (
            <TextField
              key={one.key}
              label={one.words}
              value={one.list ? draft.list(one.key) : draft.field(one.key, one.numeric)}
              type={one.secret ? "password" : "text"}
              placeholder={one.example ?? ""}
              pointer={`/${one.key}`}
              problem={problem}
            />
          ))}
          <CheckField label={words.enabled} value={draft.flag("enabled", true)} />
        </div>
        <TomlEditor draft={draft} label={words.settings} hint={words.settingsHint} rows={12} />
      </div>
      <FormProblem problem={problem} pointers={["/kind", "/name", ...keys.map((one) => `/${one.key}`)]} />
      <p class="dialog-foot">
        <button type="button" class="button" onClick={() => close(false)}>
          {parts.cancel}
        </button>
        <button type="submit" class="button primary" disabled={save.busy.value || draft.fault.value !== ""}>
          {words.save}
        </button>
      </p>
    </form>
  );
}
