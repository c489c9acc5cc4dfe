/** Is everything well, and if not, what: one sentence, four tiles, the recent trend. */

import { call } from "../../data/api";
import { changes } from "../../data/live";
import { usePolled } from "../../data/poll";
import { overview } from "../../text";
import { loadFilesystems } from "../host/filesystems";
import type { PageProps } from "../index";
import { Checklist } from "./checklist";
import { Firing } from "./firing";
import { SelfCost } from "./self_cost";
import { ServicesTile, TargetTile } from "./target_tile";
import { HostTile, StorageTile } from "./tiles";
import { Trends } from "./trends";
import { Verdict } from "./verdict";

export function OverviewPage({ health }: PageProps) {
  const targets = usePolled(
    (signal) => call("GET /api/v1/targets", { query: { limit: 1000 }, signal }),
    5000,
    changes,
  );
  const filesystems = usePolled(loadFilesystems, 15_000);
  return (
    <div class="page">
      <h1 class="visually-hidden">{overview.title}</h1>
      <Verdict health={health} targets={targets.value.value} />
      <Firing />
      <div class="tiles">
        <HostTile />
        <StorageTile filesystems={filesystems} />
        <TargetTile kind="postgres" targets={targets} />
        <TargetTile kind="object_store" targets={targets} />
        <ServicesTile targets={targets} />
      </div>
      <Trends />
      <Checklist targets={targets.value.value} />
      <SelfCost />
    </div>
  );
}
