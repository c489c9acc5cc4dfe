/** Charts of the page's time range: one feed for all of them, with the marks of that time. */

import { useComputed, type ReadonlySignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { startFeed } from "../data/feed";
import { useMarks } from "../data/marks";
import { times, type Grid } from "../data/series";
import { range } from "../router";
import { host as words } from "../text";
import { Chart } from "./chart";
import { MarkList } from "./mark_list";
import type { Plot } from "./plot";
import { ProblemCard } from "./problem";
import { Warnings } from "./warnings";

const POINTS = 480;

interface Props {
  /** Fixed as long as the component lives: a `key` makes another. */
  selectors: readonly string[];
  /** Time between two samples, ms. */
  interval: ReadonlySignal<number>;
  plots: (grid: Grid) => Plot[];
  /** What stands there when there is no plot. */
  empty: string;
  /** `one` for a chart as wide as the page. */
  columns?: "one" | "three";
}

export function TimedCharts({ selectors, interval, plots, empty, columns }: Props) {
  const feed = useMemo(() => startFeed(selectors, { range, interval, points: POINTS }), []);
  useEffect(() => feed.stop, []);
  const drawn = useComputed(() => {
    const grid = feed.grid.value;
    return grid && { plots: plots(grid), times: times(grid), resolutions: grid.resolutions };
  });
  const marks = useMarks(feed.window);
  const shown = drawn.value;
  const window = feed.window.value;
  const error = feed.error.value;
  const resolution = shown?.resolutions.includes("1h") ? words.hourRows : shown?.resolutions.includes("1m") ? words.minuteRows : undefined;
  return (
    <>
      {error && <ProblemCard error={error} retry={feed.retry} what={words.notHistory} />}
      <Warnings texts={feed.warnings.value} />
      {!shown && !error && <div class="card skeleton" aria-busy="true" />}
      {shown?.plots.length === 0 && <p class="muted card pad">{empty}</p>}
      {shown && window && shown.plots.length > 0 && (
        <div class={`charts ${columns ?? ""}`}>
          {shown.plots.map((plot) => (
            <Chart key={plot.id} plot={plot} times={shown.times} window={window} resolution={resolution} marks={marks.value} />
          ))}
        </div>
      )}
      {shown && shown.plots.length > 0 && <MarkList marks={marks.value} />}
    </>
  );
}
