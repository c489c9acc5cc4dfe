/** Tokens of programs, users, and who is here now. */

import { call } from "../../data/api";
import { usePolled } from "../../data/poll";
import { who } from "../../data/session";
import { Tabs } from "../../parts/tabs";
import { When } from "../../parts/when";
import { leave } from "../../shell/who";
import { access as words } from "../../text";
import { Tokens } from "./tokens";
import { Users } from "./users";

export function AccessPage() {
  const session = usePolled((signal) => call("GET /api/v1/session", { signal, quiet: true }), 60_000, who);
  const here = session.value.value;
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <p class="lead muted">{words.lead}</p>
      </div>
      {here && (
        <p class="card pad session">
          <span>
            {words.session}: <strong>{words.sessionText(here.who, here.by)}</strong>
            {here.expires_at && (
              <span class="muted">
                , {words.sessionEnds} <When at={here.expires_at} />
              </span>
            )}
          </span>
          <span class="tags">
            {here.scopes.map((scope) => (
              <span key={scope} class="tag" title={words.scope[scope]}>
                {scope}
              </span>
            ))}
          </span>
          {who.value !== "" && (
            <button type="button" class="button small" onClick={() => void leave()}>
              {words.signOut}
            </button>
          )}
        </p>
      )}
      <Tabs
        label={words.title}
        tabs={[
          { id: "tokens", title: words.tabs.tokens, body: () => <Tokens /> },
          { id: "users", title: words.tabs.users, body: () => <Users /> },
        ]}
      />
    </div>
  );
}
