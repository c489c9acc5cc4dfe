/** Upkeep: what is done with the agent's own data, and the record of all changes. */

import { Tabs } from "../../parts/tabs";
import { maintain as words } from "../../text";
import { Audit } from "./audit";

export function MaintainPage() {
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <p class="lead muted">{words.lead}</p>
      </div>
      <Tabs label={words.title} tabs={[{ id: "audit", title: words.tabs.audit, body: () => <Audit /> }]} />
    </div>
  );
}
