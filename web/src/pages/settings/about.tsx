/** What the agent is, what it costs, and whether each part of it works. */

import { call, type Answer } from "../../data/api";
import { system } from "../../data/live";
import { usePolled } from "../../data/poll";
import { Facts } from "../../parts/facts";
import { Loaded } from "../../parts/loaded";
import { Meter, toneOfShare } from "../../parts/meter";
import { Pill, type Tone } from "../../parts/status";
import { Table, type Column } from "../../parts/table";
import { Clock, When } from "../../parts/when";
import { settings as words } from "../../text";
import { bytes, count, duration, latency, percent } from "../../text/units";
import { DAY, SECOND } from "../../time/range";

type System = Answer<"GET /api/v1/system">;
type Worker = Answer<"GET /api/v1/system/workers">["items"][number];
type Collector = System["collectors"][number];

const TONES: Readonly<Record<string, Tone>> = { running: "ok", ok: "ok", restarting: "warn", failing: "bad", failed: "bad" };
const State = ({ word }: { word: string }) => <Pill tone={TONES[word] ?? "off"}>{word.replaceAll("_", " ")}</Pill>;

const WORKERS: readonly Column<Worker>[] = [
  {
    id: "name",
    title: words.workerColumns.name,
    head: true,
    wide: true,
    sort: (one) => one.name,
    cell: (one) => (
      <>
        {one.name}
        {one.last_error && <span class="second">{one.last_error}</span>}
      </>
    ),
  },
  { id: "state", title: words.workerColumns.state, sort: (one) => one.state, cell: (one) => <State word={one.state} /> },
  { id: "since", title: words.workerColumns.since, sort: (one) => one.since, cell: (one) => <When at={one.since} /> },
  { id: "restarts", title: words.workerColumns.restarts, number: true, sort: (one) => one.restarts, cell: (one) => one.restarts },
];

const COLLECTORS: readonly Column<Collector>[] = [
  { id: "name", title: words.collectorColumns.name, head: true, sort: (one) => one.name, cell: (one) => one.name },
  { id: "state", title: words.collectorColumns.state, sort: (one) => one.state, cell: (one) => <State word={one.state} /> },
  { id: "took", title: words.collectorColumns.took, number: true, sort: (one) => one.last_duration_ms, cell: (one) => latency(one.last_duration_ms) },
  { id: "samples", title: words.collectorColumns.samples, number: true, sort: (one) => one.samples, cell: (one) => count(one.samples) },
];

export function About() {
  const fresh = usePolled((signal) => call("GET /api/v1/system", { signal }), 10_000);
  const workers = usePolled((signal) => call("GET /api/v1/system/workers", { query: { limit: 1000 }, signal }), 10_000);
  return (
    <>
      <Loaded resource={fresh} what={words.tabs.about}>
        {(answer) => <Figures system={answer} />}
      </Loaded>
      <section>
        <h2>
          {words.workersTitle} <span class="muted">{words.workersLead}</span>
        </h2>
        <Loaded resource={workers} what={words.workersTitle}>
          {(answer) => <Table label={words.workersTitle} columns={WORKERS} rows={answer.items} keyOf={(one) => one.name} empty="" />}
        </Loaded>
      </section>
      <section>
        <h2>{words.collectorsTitle}</h2>
        <Table
          label={words.collectorsTitle}
          columns={COLLECTORS}
          rows={fresh.value.value?.collectors ?? system.value?.collectors ?? []}
          keyOf={(one) => one.name}
          empty=""
        />
      </section>
    </>
  );
}

function Figures({ system: { version, build, started_at, uptime_seconds, host, self, store } }: { system: System }) {
  const up = uptime_seconds * SECOND;
  const share = (100 * store.used_bytes) / store.cap_bytes;
  const since = store.raw_since_ms;
  return (
    <div class="columns three">
      <section class="card pad">
        <h2>{words.product}</h2>
        <Facts
          items={[
            [words.version, `holdfast ${version}`],
            [words.build, `${build.commit}, ${build.profile}, ${build.target}`],
            [words.started, <When at={started_at} />],
            [words.host, `${host.hostname}, ${host.os}, ${host.arch}`],
            [words.kernel, host.kernel],
          ]}
        />
      </section>
      <section class="card pad">
        <h2>{words.costTitle}</h2>
        <Facts
          items={[
            [words.cpu, percent(self.cpu_percent)],
            [words.cpuTotal, duration((self.cpu_seconds_total ?? 0) * SECOND)],
            [words.memory, bytes(self.rss_bytes)],
            [words.written, `${bytes(self.written_bytes_total)}, ${words.perDay(bytes(((self.written_bytes_total ?? 0) / Math.max(up, SECOND)) * DAY))}`],
            [words.files, count(self.open_files)],
            [words.threads, count(self.threads)],
          ]}
        />
      </section>
      <section class="card pad">
        <h2>{words.storeTitle}</h2>
        <Facts
          items={[
            [
              words.used,
              <>
                {words.ofCap(bytes(store.used_bytes), bytes(store.cap_bytes))}
                <Meter share={share} tone={toneOfShare(share, 90, 99)} />
              </>,
            ],
            [words.series, words.ofCap(count(store.series), count(store.max_series))],
            [words.refused, store.series_refused_total > 0 && count(store.series_refused_total)],
            [words.appended, count(store.samples_appended_total)],
            [words.shed, store.samples_shed_total > 0 && count(store.samples_shed_total)],
            [words.commits, count(store.commits_total)],
            [words.since, since !== null && since !== undefined && <Clock at={new Date(since).toISOString()} />],
          ]}
        />
      </section>
    </div>
  );
}
