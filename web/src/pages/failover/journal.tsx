/** What was done with a group, step by step, as the agent wrote it down before doing it. */

import { call } from "../../data/api";
import { failoverChanges } from "../../data/live";
import { usePolled } from "../../data/poll";
import type { JournalRow } from "../../data/types";
import { Loaded } from "../../parts/loaded";
import { Shape, type Tone } from "../../parts/status";
import { Clock } from "../../parts/when";
import { failover as words } from "../../text";
import { latency } from "../../text/units";
import { chaptersOf, type Chapter } from "./sentence";

const ROWS = 200;

const TONES: Record<string, Tone> = { route: "ok", enrolled: "ok", rejoined: "ok", adopted: "ok", aborted: "bad", begin: "warn", fence: "warn" };

export function Journal({ name }: { name: string }) {
  const list = usePolled(
    (signal) => call("GET /api/v1/failover/groups/{name}/journal", { path: { name }, query: { limit: ROWS }, signal }),
    10_000,
    failoverChanges,
  );
  return (
    <section class="card pad" aria-labelledby="journal" data-part="journal">
      <h2 id="journal">{words.journal}</h2>
      <Loaded resource={list} what={words.journal}>
        {(answer) =>
          answer.items.length === 0 ? <p class="muted">{words.journalNone}</p> : chaptersOf(answer.items).map((chapter) => <Part key={chapter.epoch} chapter={chapter} />)
        }
      </Loaded>
    </section>
  );
}

function Part({ chapter }: { chapter: Chapter }) {
  const begin = chapter.rows.find((row) => row.step === "begin");
  const end = chapter.rows.find((row) => row.step === "route" || row.step === "aborted");
  // Times from the beginning, as long as the operation lasts.
  const since = (row: JournalRow) =>
    begin && end && row.number > begin.number && row.number <= end.number ? `+${latency(Date.parse(row.at) - Date.parse(begin.at))}` : "";
  return (
    <div class="chapter">
      <h3>
        {words.journalEpoch(chapter.epoch)}
        {chapter.took !== undefined && <span class="muted"> {words.journalTook(latency(chapter.took))}</span>}
      </h3>
      <ol class="steps-list">
        {chapter.rows.map((row) => (
          <li key={row.number}>
            <Shape tone={TONES[row.step] ?? "off"} />
            <span class="strong">{words.journalSteps[row.step] ?? row.step}</span>
            <span class="anywhere">{row.detail}</span>
            <span class="muted number">{since(row)}</span>
            <Clock at={row.at} />
          </li>
        ))}
      </ol>
    </div>
  );
}
