/** Upkeep: backups, the store, and the record of all changes. */

import { Tabs } from "../../parts/tabs";
import { maintain as words } from "../../text";
import { Audit } from "./audit";
import { Backups } from "./backups";
import { Store } from "./store";

export function MaintainPage() {
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <p class="lead muted">{words.lead}</p>
      </div>
      <Tabs
        label={words.title}
        tabs={[
          { id: "backups", title: words.tabs.backups, body: () => <Backups /> },
          { id: "store", title: words.tabs.store, body: () => <Store /> },
          { id: "audit", title: words.tabs.audit, body: () => <Audit /> },
        ]}
      />
    </div>
  );
}
