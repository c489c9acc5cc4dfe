/** The host: every chart on one time range with one cursor, filesystems, top processes. */

import { useComputed } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { startFeed } from "../../data/feed";
import { HOST_SELECTORS, hostSections } from "../../data/host_plots";
import { system } from "../../data/live";
import { times } from "../../data/series";
import { interval } from "../../data/settings";
import { Chart } from "../../parts/chart";
import { ProblemCard } from "../../parts/problem";
import { range, resetRange } from "../../router";
import { duration, step } from "../../text/units";
import { summary } from "../../data/live";
import { wordsOf } from "../../shell/range_picker";
import { Filesystems } from "./filesystems";
import { Processes } from "./processes";

/** Enough for a chart of half a wide screen; more would only cost both sides. */
const POINTS = 480;

/** Sections of so many charts fill their rows. */
const COLUMNS: Record<number, string> = { 1: "one", 3: "three", 4: "four" };

export function HostPage() {
  const feed = useMemo(() => startFeed(HOST_SELECTORS, { range, interval, points: POINTS }), []);
  useEffect(() => feed.stop, []);
  const drawn = useComputed(() => {
    const grid = feed.grid.value;
    return grid && { sections: hostSections(grid), times: times(grid), resolution: coarse(grid.resolutions) };
  });
  const window = feed.window.value;
  const error = feed.error.value;
  return (
    <div class={`page${feed.loading.value && drawn.value ? " loading" : ""}`}>
      <Identity step={feed.grid.value?.step} />
      {error && <ProblemCard error={error} retry={feed.retry} what="The history could not be loaded" />}
      {!drawn.value && !error && <Skeleton />}
      {drawn.value?.sections.length === 0 && <NoHistory />}
      {drawn.value &&
        window &&
        drawn.value.sections.map((section) => (
          <section key={section.id} aria-labelledby={`section-${section.id}`}>
            <h2 id={`section-${section.id}`}>{section.title}</h2>
            <div class={`charts ${COLUMNS[section.plots.length] ?? ""}`}>
              {section.plots.map((plot) => (
                <Chart
                  key={plot.id}
                  plot={plot}
                  times={drawn.value?.times ?? []}
                  window={window}
                  resolution={drawn.value?.resolution}
                />
              ))}
            </div>
            {section.id === "disks" && <Filesystems />}
          </section>
        ))}
      {drawn.value && !drawn.value.sections.some((section) => section.id === "disks") && <Filesystems />}
      <Processes />
    </div>
  );
}

/** The coarsest resolution in use, in words, when it is not raw. */
function coarse(resolutions: readonly string[]): string | undefined {
  if (resolutions.includes("1h")) return "1 h rows";
  return resolutions.includes("1m") ? "1 min rows" : undefined;
}

function Identity({ step: shown }: { step: number | undefined }) {
  const host = system.value?.host;
  const up = summary.value?.uptime_seconds;
  return (
    <div class="identity">
      <h1>Host</h1>
      {host && (
        <p>
          {[host.os, `Linux ${host.kernel}`, host.arch, `${host.cpus} ${host.cpus === 1 ? "processor" : "processors"}`]
            .filter((part) => part !== "")
            .join(" \u00b7 ")}
          {up !== null && up !== undefined && ` \u00b7 up ${duration(up * 1000)}`}
        </p>
      )}
      <p class="identity-range">
        {wordsOf(range.value)}
        {shown !== undefined && `, one value per ${step(shown)}`}
      </p>
    </div>
  );
}

function Skeleton() {
  return (
    <div class="charts" aria-busy="true">
      {[0, 1, 2, 3].map((i) => (
        <div key={i} class="card skeleton" />
      ))}
      <p class="visually-hidden" role="status">
        Loading the history
      </p>
    </div>
  );
}

function NoHistory() {
  return (
    <section class="card empty">
      <h2>No samples in this time range</h2>
      <p>The agent holds none: it did not run then, or the samples are older than it keeps them.</p>
      <p>
        <button type="button" class="button primary" onClick={resetRange}>
          Back to the live range
        </button>
      </p>
    </section>
  );
}
