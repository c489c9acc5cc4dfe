/** The host: every chart on one time range with one cursor, filesystems, top processes. */

import { useComputed } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { useMarks } from "../../data/marks";
import { startFeed } from "../../data/feed";
import { HOST_SELECTORS, hostSections } from "../../data/host_plots";
import { system } from "../../data/live";
import { times } from "../../data/series";
import { interval } from "../../data/settings";
import { Chart } from "../../parts/chart";
import { MarkList } from "../../parts/mark_list";
import { ProblemCard } from "../../parts/problem";
import { Warnings } from "../../parts/warnings";
import { range, resetRange } from "../../router";
import { host as words } from "../../text";
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
  const marks = useMarks(feed.window);
  const window = feed.window.value;
  const error = feed.error.value;
  return (
    <div class={`page${feed.loading.value && drawn.value ? " loading" : ""}`}>
      <Identity step={feed.grid.value?.step} />
      <Warnings texts={feed.warnings.value} />
      <MarkList marks={marks.value} />
      {error && <ProblemCard error={error} retry={feed.retry} what={words.notHistory} />}
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
                  marks={marks.value}
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
  if (resolutions.includes("1h")) return words.hourRows;
  return resolutions.includes("1m") ? words.minuteRows : undefined;
}

function Identity({ step: shown }: { step: number | undefined }) {
  const host = system.value?.host;
  const up = summary.value?.uptime_seconds;
  return (
    <div class="identity">
      <h1>{words.title}</h1>
      {host && (
        <p>
          {[host.os, words.linux(host.kernel), host.arch, words.processors(host.cpus)]
            .filter((part) => part !== "")
            .join(" \u00b7 ")}
          {up !== null && up !== undefined && ` \u00b7 ${words.up(duration(up * 1000))}`}
        </p>
      )}
      <p class="identity-range">
        {shown === undefined ? wordsOf(range.value) : words.perStep(wordsOf(range.value), step(shown))}
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
        {words.loading}
      </p>
    </div>
  );
}

function NoHistory() {
  return (
    <section class="card empty">
      <h2>{words.noneTitle}</h2>
      <p>{words.noneText}</p>
      <p>
        <button type="button" class="button primary" onClick={resetRange}>
          {words.toLive}
        </button>
      </p>
    </section>
  );
}
