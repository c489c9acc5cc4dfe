/** Who is told of which alerts: an ordered list, of which the first match counts. It is saved as a whole. */

import { useComputed, useSignal, type Signal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import { call } from "../../data/api";
import type { Config } from "../../data/config";
import { usePolled, type Resource } from "../../data/poll";
import type { Json, Section } from "../../data/toml";
import { confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Draft } from "../../parts/draft";
import { Empty } from "../../parts/empty";
import { CheckField, FormProblem, TextField } from "../../parts/form";
import { Table, type Column } from "../../parts/table";
import { TomlEditor } from "../../parts/toml_editor";
import { parts, settings as words } from "../../text";
import { useApply, valueAt, type Apply } from "./apply";

const ORDER = ["match", "channels", "group_by", "group_window", "repeat", "continue"];

interface Edited {
  /** Its place; the end for a new one. */
  at: number;
  section: Section;
}

type Numbered = Section & { at: number };

const tableOf = (value: Json | undefined): Section => (typeof value === "object" && value !== null && !Array.isArray(value) ? value : {});

function matchText(route: Section): string {
  const parts = Object.entries(tableOf(route["match"])).map(([label, value]) => `${label} ${String(value)}`);
  return parts.length === 0 ? words.everything : parts.join(", ");
}

function channelsText(route: Section): string {
  const names = route["channels"];
  if (!Array.isArray(names)) return words.everyChannel;
  return names.length === 0 ? words.nobody : names.join(", ");
}

export function Routes({ config, held }: { config: Resource<Config>; held: Config }) {
  const edited = useSignal<Edited | undefined>(undefined);
  const given = valueAt(held, "route");
  const routes = Array.isArray(given) ? (given as Section[]) : [];
  return <List key={held.etag} config={config} routes={routes} edited={edited} />;
}

function List({ config, routes, edited }: { config: Resource<Config>; routes: readonly Section[]; edited: Signal<Edited | undefined> }) {
  const apply = useApply(config, () => (edited.value = undefined));
  const open = useComputed(() => edited.value !== undefined);
  return (
    <>
      <div class="head-row">
        <p class="muted grow">{words.routesLead}</p>
        <button type="button" class="button primary" onClick={() => (edited.value = { at: routes.length, section: { match: { severity: ">= high" } } })}>
          {words.addRoute}
        </button>
      </div>
      {!open.value && <FormProblem problem={apply.problem.value} />}
      <Table
        label={words.tabs.routes}
        columns={columnsOf(routes, apply, edited)}
        rows={routes.map((route, at): Numbered => ({ ...route, at }))}
        keyOf={(route) => String(route.at)}
        empty={<Empty title={words.noRoutesTitle} text={words.noRoutes} />}
      />
      <Dialog open={open} onClose={() => (edited.value = undefined)} title={words.route((edited.value?.at ?? 0) + 1)} kind="wide">
        {edited.value && <Editor edited={edited.value} routes={routes} apply={apply} close={() => (edited.value = undefined)} />}
      </Dialog>
    </>
  );
}

function columnsOf(routes: readonly Section[], apply: Apply, edited: Signal<Edited | undefined>): Column<Numbered>[] {
  const put = (next: readonly Section[]) => apply.run({ route: [...next] });
  const up = (at: number) => {
    const next = [...routes];
    next.splice(at - 1, 0, ...next.splice(at, 1));
    void put(next);
  };
  const remove = async (at: number) => {
    if (await confirm({ title: words.removeRoute(at + 1), text: words.removeText, action: words.remove })) await put(routes.filter((_, i) => i !== at));
  };
  return [
    { id: "at", title: words.routeColumns.number, cell: (route) => route.at + 1 },
    { id: "match", title: words.routeColumns.match, head: true, wide: true, cell: (route) => <strong>{matchText(route)}</strong> },
    {
      id: "channels",
      title: words.routeColumns.channels,
      cell: (route) => (
        <span>
          {channelsText(route)} {route["continue"] === true && <span class="muted">{words.goesOn}</span>}
        </span>
      ),
    },
    { id: "group", title: words.routeColumns.group, cell: (route) => String(route["group_window"] ?? "") },
    { id: "repeat", title: words.routeColumns.repeat, cell: (route) => String(route["repeat"] ?? "") },
    {
      id: "deeds",
      title: words.edit,
      quiet: true,
      cell: ({ at }) => (
        <span class="row-actions">
          <button type="button" class="button small" disabled={at === 0 || apply.busy.value} aria-label={words.upRoute(at + 1)} onClick={() => up(at)}>
            {words.up}
          </button>
          <button type="button" class="button small" aria-label={`${words.edit} ${words.route(at + 1)}`} onClick={() => (edited.value = { at, section: routes[at] ?? {} })}>
            {words.edit}
          </button>
          <button type="button" class="button small" aria-label={words.removeRoute(at + 1)} onClick={() => void remove(at)}>
            {words.remove}
          </button>
        </span>
      ),
    },
  ];
}

function Editor({ edited, routes, apply, close }: { edited: Edited; routes: readonly Section[]; apply: Apply; close: () => void }) {
  const draft = useMemo(() => new Draft("route", edited.section, ORDER), []);
  const channels = usePolled((signal) => call("GET /api/v1/monitoring/channels", { query: { limit: 1000 }, signal }), 60_000);
  const names = channels.value.value?.items.map((one) => one.name).join(", ") ?? "";
  const severity = {
    get value() {
      return String(tableOf(draft.section.value["match"])["severity"] ?? "");
    },
    set value(typed: string) {
      const { severity: _, ...rest } = tableOf(draft.section.value["match"]);
      draft.set("match", typed === "" ? rest : { ...rest, severity: typed });
    },
  };
  const save = () => {
    const next = [...routes];
    next[edited.at] = draft.section.value;
    void apply.run({ route: next });
  };
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <div class="columns">
        <div class="form">
          <TextField label={words.severity} hint={words.severityHint} value={severity} />
          <TextField label={words.channels} hint={words.channelsHint(names)} value={draft.list("channels")} />
          <div class="fields">
            <TextField label={words.window} value={draft.field("group_window")} placeholder="30s" />
            <TextField label={words.repeat} value={draft.field("repeat")} placeholder="4h" />
          </div>
          <CheckField label={words.continue} value={draft.flag("continue", false)} />
        </div>
        <TomlEditor draft={draft} label="TOML" hint={words.routeHint} rows={9} />
      </div>
      <FormProblem problem={apply.problem.value} />
      <p class="dialog-foot">
        <button type="button" class="button" onClick={close}>
          {parts.cancel}
        </button>
        <button type="submit" class="button primary" disabled={apply.busy.value || draft.fault.value !== ""}>
          {words.save}
        </button>
      </p>
    </form>
  );
}
