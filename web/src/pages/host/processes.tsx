/** The processes that use most, as the agent saw them in its last look (once a minute). */

import { call } from "../../data/api";
import { usePolled } from "../../data/poll";
import { second } from "../../data/live";
import type { Process } from "../../data/types";
import { ProblemCard } from "../../parts/problem";
import { host as words } from "../../text";
import { age, bytes, percent } from "../../text/units";

export function Processes() {
  const top = usePolled((signal) => call("GET /api/v1/system/processes", { signal }), 20_000);
  if (top.error.value && !top.value.value) {
    // Before its first look the agent has nothing to tell.
    if (top.error.value.status === 404) return null;
    return <ProblemCard error={top.error.value} retry={top.retry} what={words.notProcesses} />;
  }
  const seen = top.value.value;
  if (!seen || (seen.by_cpu.length === 0 && seen.by_memory.length === 0)) return null;
  return (
    <section aria-labelledby="processes-title">
      <h2 id="processes-title">
        {words.processes} <span class="muted">{words.ago(age(second.value - Date.parse(seen.at)))}</span>
      </h2>
      <div class="charts">
        <List title={words.byCpu} rows={seen.by_cpu} />
        <List title={words.byMemory} rows={seen.by_memory} />
      </div>
    </section>
  );
}

function List({ title, rows }: { title: string; rows: Process[] }) {
  return (
    <div class="card table-card">
      <h3>{title}</h3>
      <table class="table fixed" aria-label={title}>
        <thead>
          <tr>
            <th scope="col">{words.name}</th>
            <th scope="col" class="number">{words.pid}</th>
            <th scope="col" class="number">{words.cpu}</th>
            <th scope="col" class="number">{words.memory}</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, 10).map((row) => (
            <tr key={row.pid}>
              <th scope="row" title={row.name}>
                <span class="cut">{row.name}</span>
              </th>
              <td class="number">{row.pid}</td>
              <td class="number">{percent(row.cpu_percent)}</td>
              <td class="number">{bytes(row.rss_bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
