/** Tokens: made with scopes and an end, shown once, listed with their last use, revoked. */

import { useComputed, useSignal, type Signal } from "@preact/signals";

import { ending, SCOPES, SPANS, type Made, type Scope, type Token } from "../../data/access";
import { call } from "../../data/api";
import { agentNow } from "../../data/live";
import { usePolled } from "../../data/poll";
import { who } from "../../data/session";
import { useAction } from "../../parts/action";
import { Command } from "../../parts/command";
import { confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Empty } from "../../parts/empty";
import { FormProblem, SelectField, TextField } from "../../parts/form";
import { Loaded } from "../../parts/loaded";
import { Pill } from "../../parts/status";
import { Table, type Column } from "../../parts/table";
import { When } from "../../parts/when";
import { access as words, parts } from "../../text";

export function Tokens() {
  const list = usePolled((signal) => call("GET /api/v1/tokens", { query: { limit: 1000 }, signal }), 30_000, who);
  const adding = useSignal(false);
  const made = useSignal<Made | undefined>(undefined);
  const showing = useComputed(() => made.value !== undefined);
  const forget = () => (made.value = undefined);
  return (
    <>
      <div class="head-row">
        <button type="button" class="button primary" onClick={() => (adding.value = true)}>
          {words.addToken}
        </button>
      </div>
      <Loaded resource={list} what={words.tabs.tokens}>
        {(answer) => (
          <Table
            label={words.tabs.tokens}
            columns={columnsOf(list.retry)}
            rows={answer.items}
            keyOf={(one) => one.id}
            empty={<Empty title={words.noTokensTitle} text={words.noTokens} />}
          />
        )}
      </Loaded>
      <Dialog open={adding} title={words.addToken}>
        <NewToken
          close={() => (adding.value = false)}
          done={(token) => {
            adding.value = false;
            made.value = token;
            list.retry();
          }}
        />
      </Dialog>
      <Dialog open={showing} onClose={forget} title={words.madeTitle}>
        {made.value && <Shown made={made.value} close={forget} />}
      </Dialog>
    </>
  );
}

function columnsOf(reload: () => void): Column<Token>[] {
  return [
    { id: "name", title: words.columns.name, head: true, wide: true, sort: (one) => one.name, cell: (one) => <strong>{one.name}</strong> },
    {
      id: "scopes",
      title: words.columns.scopes,
      cell: (one) => (
        <span class="tags">
          {one.scopes.map((scope) => (
            <span key={scope} class="tag" title={words.scope[scope]}>
              {scope}
            </span>
          ))}
        </span>
      ),
    },
    { id: "used", title: words.columns.used, sort: (one) => one.last_used_at, cell: (one) => (one.last_used_at ? <When at={one.last_used_at} /> : <span class="muted">{words.neverUsed}</span>) },
    { id: "created", title: words.columns.created, sort: (one) => one.created_at, cell: (one) => <When at={one.created_at} /> },
    { id: "expires", title: words.columns.expires, sort: (one) => one.expires_at, cell: (one) => <Ends at={one.expires_at} /> },
    { id: "revoke", title: words.revoke, quiet: true, cell: (one) => <Revoke one={one} reload={reload} /> },
  ];
}

function Ends({ at }: { at: string | null | undefined }) {
  if (!at) return <span class="muted">{words.never}</span>;
  const near = ending(at, agentNow());
  if (near === "over") return <Pill tone="off">{words.over}</Pill>;
  return near === "soon" ? (
    <Pill tone="warn">
      <When at={at} />
    </Pill>
  ) : (
    <When at={at} />
  );
}

function Revoke({ one, reload }: { one: Token; reload: () => void }) {
  const revoke = useAction(async () => {
    if (!(await confirm({ title: words.revokeTitle, text: words.revokeText(one.name), action: words.revoke }))) return;
    await call("DELETE /api/v1/tokens/{id}", { path: { id: one.id } });
    reload();
    return words.revoked(one.name);
  });
  return (
    <button type="button" class="button small" aria-label={words.revokeOne(one.name)} disabled={revoke.busy.value} onClick={() => void revoke.run()}>
      {words.revoke}
    </button>
  );
}

function NewToken({ close, done }: { close: () => void; done: (made: Made) => void }) {
  const name = useSignal("");
  const span = useSignal<string>("90d");
  const scopes = useSignal<readonly Scope[]>(["monitoring:read"]);
  const make = useAction(async () => {
    const end = span.value === "" ? {} : { expires_in: span.value };
    done(await call("POST /api/v1/tokens", { body: { name: name.value.trim(), scopes: [...scopes.value], ...end } }));
  }, true);
  const problem = make.problem.value;
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        void make.run();
      }}
    >
      <TextField label={words.name} hint={words.tokenNameHint} value={name} pointer="/name" problem={problem} required focus />
      <Scopes chosen={scopes} />
      <SelectField label={words.expires} value={span} options={SPANS.map((one) => [one, words.spans[one]] as const)} pointer="/expires_in" problem={problem} />
      <FormProblem problem={problem} pointers={["/name", "/expires_in"]} />
      <p class="dialog-foot">
        <button type="button" class="button" onClick={close}>
          {parts.cancel}
        </button>
        <button type="submit" class="button primary" disabled={make.busy.value || scopes.value.length === 0}>
          {words.make}
        </button>
      </p>
    </form>
  );
}

function Scopes({ chosen }: { chosen: Signal<readonly Scope[]> }) {
  return (
    <fieldset class="levels scopes">
      <legend>{words.scopes}</legend>
      {SCOPES.map((scope) => (
        <label key={scope} class="check">
          <input
            type="checkbox"
            checked={chosen.value.includes(scope)}
            onChange={(event) => {
              const rest = chosen.value.filter((one) => one !== scope);
              chosen.value = event.currentTarget.checked ? [...rest, scope] : rest;
            }}
          />
          <span>
            <code>{scope}</code>
            <span class="hint">{words.scope[scope]}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function Shown({ made, close }: { made: Made; close: () => void }) {
  return (
    <div class="form">
      <p>{words.madeText(made.name)}</p>
      <Command text={made.token} label={words.madeLabel} />
      <p class="dialog-foot">
        <button type="button" class="button primary" onClick={close}>
          {words.done}
        </button>
      </p>
    </div>
  );
}
