/** The API explorer: the agent's own document, and every operation of it to be tried. */

import { useComputed } from "@preact/signals";
import { Fragment } from "preact";

import { request } from "../../data/api";
import { operationsOf, type ApiDocument, type ApiOperation } from "../../data/api_document";
import { usePolled } from "../../data/poll";
import { SearchFilter } from "../../parts/filters";
import { Loaded } from "../../parts/loaded";
import { filter, href } from "../../router";
import { apiPage as words } from "../../text";
import { DAY } from "../../time/range";
import { Try } from "./try";

const ADDRESS = "/api/openapi.json";

async function load(): Promise<ApiOperation[]> {
  const response = await request({ method: "GET", address: ADDRESS });
  return operationsOf((await response.json()) as ApiDocument);
}

export function ApiPage() {
  const all = usePolled(load, DAY);
  const chosen = filter("op");
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <a class="button" href={ADDRESS} target="_blank" rel="noreferrer">
          {words.document}
        </a>
        <p class="lead muted">{words.lead}</p>
      </div>
      <Loaded resource={all} what={words.document}>
        {(operations) => {
          const shown = operations.find((one) => one.id === chosen);
          return (
            <div class={`explorer${shown ? " chosen" : ""}`}>
              <List operations={operations} chosen={chosen} />
              <div class="explorer-one">
                {shown ? <Try key={shown.id} one={shown} /> : <p class="card pad muted">{words.choose}</p>}
              </div>
            </div>
          );
        }}
      </Loaded>
    </div>
  );
}

function List({ operations, chosen }: { operations: readonly ApiOperation[]; chosen: string }) {
  const q = filter("q");
  const groups = useComputed(() => {
    const wanted = filter("q").toLowerCase();
    const found = operations.filter((one) => `${one.id} ${one.summary} ${one.tag}`.toLowerCase().includes(wanted));
    return [...new Set(found.map((one) => one.tag))].map((tag) => ({ tag, ones: found.filter((one) => one.tag === tag) }));
  });
  return (
    <nav class="card explorer-list" aria-label={words.list}>
      <div class="filters" role="search">
        <SearchFilter name="q" label={words.search} />
      </div>
      {groups.value.length === 0 && <p class="muted pad">{words.none}</p>}
      {groups.value.map(({ tag, ones }) => (
        <section key={tag} aria-labelledby={`tag-${tag}`}>
          <h2 id={`tag-${tag}`}>{tag}</h2>
          <ul>
            {ones.map((one) => (
              <li key={one.id}>
                <a href={href("/api", { op: one.id, q })} aria-current={one.id === chosen ? "true" : undefined} title={one.summary}>
                  <span class={`method ${one.method.toLowerCase()}`}>{one.method}</span>
                  <span>
                    {/* A long path breaks before a slash. */}
                    {one.path.split(/(?=\/)/).map((part, i) => (
                      <Fragment key={i}>
                        <wbr />
                        {part}
                      </Fragment>
                    ))}
                  </span>
                </a>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </nav>
  );
}
