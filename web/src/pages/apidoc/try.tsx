/** One operation: what it takes, the same for a shell, and its answer. */

import { useComputed, useSignal, type Signal } from "@preact/signals";

import { exchange } from "../../data/api";
import { curlOf, filled, isList, type ApiOperation, type Parameter } from "../../data/api_document";
import { useAction } from "../../parts/action";
import { Command } from "../../parts/command";
import { confirm } from "../../parts/confirm";
import { Either } from "../../parts/either";
import { TextField } from "../../parts/form";
import { Pill } from "../../parts/status";
import { Words } from "../../parts/words";
import { filter, href } from "../../router";
import { apiPage as words } from "../../text";
import { bytes, latency } from "../../text/units";

/** More of an answer than this only makes the page slow, characters. */
const SHOWN = 50_000;

interface Said {
  status: number;
  took: number;
  headers: string;
  body: string;
}

function pretty(text: string, media: string): string {
  if (!media.includes("json")) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

export function Try({ one }: { one: ApiOperation }) {
  const typed = useSignal<Readonly<Record<string, string>>>({});
  const body = useSignal(one.body?.example ?? "");
  const said = useSignal<Said | undefined>(undefined);
  const asked = useComputed(() => filled(one, typed.value, body.value));
  const send = useAction(async () => {
    const changes = one.method !== "GET";
    if (changes && !(await confirm({ title: words.sureTitle(one.id), text: words.sureText, action: words.sure }))) return;
    const began = performance.now();
    const response = await exchange({ ...asked.value, method: one.method });
    const text = await response.text();
    const media = response.headers.get("content-type") ?? "";
    const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    said.value = { status: response.status, took: performance.now() - began, headers, body: pretty(text, media) };
  });
  return (
    <form
      class="card pad form"
      onSubmit={(event) => {
        event.preventDefault();
        void send.run();
      }}
    >
      <p class="explorer-back">
        <a href={href("/api", { q: filter("q") })}>{words.back}</a>
      </p>
      <h2 class="operation">
        <span class={`method ${one.method.toLowerCase()}`}>{one.method}</span> <code>{one.path}</code>
      </h2>
      <p>
        <Words text={one.summary} />
      </p>
      {one.description !== "" && (
        <p class="muted">
          <Words text={one.description} />
        </p>
      )}
      <p class="muted small">{one.scopes.length === 0 ? words.open : words.scopes(one.scopes.join(" / "))}</p>
      {one.parameters.length > 0 && (
        <div class="fields">
          {one.parameters.map((parameter) => (
            <ParameterField key={parameter.name} parameter={parameter} typed={typed} />
          ))}
        </div>
      )}
      {one.body && <TextField label={words.body(one.body.media)} value={body} rows={Math.min(18, Math.max(4, body.value.split("\n").length))} mono />}
      <p class="dialog-foot">
        <button type="submit" class="button primary" disabled={send.busy.value}>
          <Either busy={send.busy.value} rest={words.send} work={words.sending} />
        </button>
      </p>
      <h3>{words.curl}</h3>
      <Command text={curlOf(location.origin, one, asked.value)} label={words.curl} />
      <div role="status">{said.value && <Answer said={said.value} />}</div>
    </form>
  );
}

function ParameterField({ parameter, typed }: { parameter: Parameter; typed: Signal<Readonly<Record<string, string>>> }) {
  const { name } = parameter;
  const bound = {
    get value() {
      return typed.value[name] ?? "";
    },
    set value(text: string) {
      typed.value = { ...typed.value, [name]: text };
    },
  };
  const hint = [parameter.in === "header" ? "header" : "", isList(parameter) ? words.lines : "", parameter.description ?? ""].filter(Boolean).join("; ");
  return (
    <TextField
      label={parameter.required ? `${name} *` : name}
      hint={hint === "" ? undefined : <Words text={hint} />}
      value={bound}
      required={parameter.required ?? false}
      rows={isList(parameter) ? 2 : 1}
      placeholder={parameter.example === undefined ? "" : String(parameter.example)}
      mono
    />
  );
}

function Answer({ said }: { said: Said }) {
  const cut = said.body.length > SHOWN;
  return (
    <div class="form">
      <h3>{words.answer}</h3>
      <p class="tags">
        <Pill tone={said.status < 400 ? "ok" : said.status < 500 ? "warn" : "bad"}>{said.status}</Pill>
        <span class="muted">
          {latency(said.took)}, {bytes(said.body.length)}
        </span>
      </p>
      <Command text={said.body === "" ? words.empty : said.body.slice(0, SHOWN)} label={words.answer} />
      {cut && <p class="muted">{words.cut(bytes(SHOWN), bytes(said.body.length))}</p>}
      <pre class="muted">{said.headers}</pre>
    </div>
  );
}
