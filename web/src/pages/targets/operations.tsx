/** The operations of a target: their figures of a day, their latencies over the time range. */

import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";

import { call } from "../../data/api";
import { usePolled } from "../../data/poll";
import { gauge, map, type Grid } from "../../data/series";
import type { TargetStatus } from "../../data/types";
import { Loaded } from "../../parts/loaded";
import { colourAt, type Line, type Plot } from "../../parts/plot";
import { OUTCOMES, Shape } from "../../parts/status";
import { TimedCharts } from "../../parts/timed_charts";
import { targets as words } from "../../text";
import { count, latency, percent } from "../../text/units";

export function latencyPlot(grid: Grid): Plot[] {
  const ms = (values: Parameters<typeof gauge>[0]) => map(gauge(values), (seconds) => seconds * 1000);
  const lines = [...grid.series.values()]
    .sort((a, b) => (a.labels["operation"] ?? "").localeCompare(b.labels["operation"] ?? ""))
    .map((series, i): Line => ({
      label: series.labels["operation"] ?? "",
      values: ms(series.values),
      colour: colourAt(i),
      ...(series.min && series.max && { min: ms(series.min), max: ms(series.max) }),
    }));
  return lines.length === 0 ? [] : [{ id: "operations", title: words.chart, format: latency, lines }];
}

export function Operations({ target }: { target: TargetStatus }) {
  const { name } = target;
  const interval = useMemo(() => signal(target.interval_ms), [target.interval_ms]);
  const figures = usePolled((given) => call("GET /api/v1/targets/{name}/operations", { path: { name }, query: { hours: 24 }, signal: given }), 30_000);
  const titles = words.operationColumns;
  return (
    <section aria-labelledby="operations">
      <h2 id="operations">
        {words.operations} <span class="muted small">{words.operationsLead}</span>
      </h2>
      <div class="stack">
        <Loaded resource={figures} what={words.operations}>
          {(answer) => (
            <div class="card table-card">
              <table class="table" aria-labelledby="operations">
                <thead>
                  <tr>
                    <th scope="col">{titles.operation}</th>
                    <th scope="col">{titles.last}</th>
                    <th scope="col" class="number broad">{titles.total}</th>
                    <th scope="col" class="number">{titles.errors}</th>
                    <th scope="col" class="number broad">{titles.p50}</th>
                    <th scope="col" class="number">{titles.p95}</th>
                    <th scope="col" class="number broad">{titles.p99}</th>
                    <th scope="col" class="number broad">{titles.slow}</th>
                  </tr>
                </thead>
                <tbody>
                  {answer.operations.map((one) => {
                    const last = target.last?.operations.find((done) => done.operation === one.operation);
                    return (
                      <tr key={one.operation}>
                        <th scope="row">{one.operation}</th>
                        <td>{last && <span class="with-shape" title={last.detail ?? ""}><Shape tone={OUTCOMES[last.class].tone} /> {OUTCOMES[last.class].word}</span>}</td>
                        <td class="number broad">{count(one.total)}</td>
                        <td class="number">{percent(100 * one.error_rate)}</td>
                        <td class="number broad">{latency(one.p50)}</td>
                        <td class="number">{latency(one.p95)}</td>
                        <td class="number broad">{latency(one.p99)}</td>
                        <td class="number broad">{count(one.slow)}</td>
                      </tr>
                    );
                  })}
                </tbody>
              </table>
            </div>
          )}
        </Loaded>
        <TimedCharts
          key={`${name} ${target.interval_ms}`}
          selectors={[`holdfast_probe_operation_duration_seconds{target=${JSON.stringify(name)}}`]}
          interval={interval}
          plots={latencyPlot}
          empty={words.chartNone}
          columns="one"
        />
      </div>
    </section>
  );
}
