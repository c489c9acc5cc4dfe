/** What a rule would have done with the stored history: firings, flaps, messages. */

import { useSignal } from "@preact/signals";

import { call } from "../../data/api";
import type { Json } from "../../data/toml";
import type { Replay } from "../../data/types";
import { useAction } from "../../parts/action";
import { Either } from "../../parts/either";
import { FormProblem, SelectField } from "../../parts/form";
import { SeverityPill } from "../../parts/severity";
import { Warnings } from "../../parts/warnings";
import { Clock } from "../../parts/when";
import { rule as words } from "../../text";
import { duration } from "../../text/units";
import { labelsText } from "./now";

const ROWS = 20;

const whole = (value: number) => value.toLocaleString("en");

export function ReplayPart({ section }: { section: () => Record<string, Json> }) {
  const span = useSignal("7d");
  const found = useSignal<Replay | undefined>(undefined);
  const replay = useAction(async () => {
    found.value = await call("POST /api/v1/monitoring/rules/replay", { query: { last: span.value }, body: section() });
  }, true);
  const span_words = words.spans[span.value as keyof typeof words.spans];
  return (
    <section aria-labelledby="replay" class="card pad replay">
      <h2 id="replay">
        {words.replay} <span class="muted">{words.replayLead}</span>
      </h2>
      <div class="replay-bar">
        <SelectField label={words.span} value={span} options={Object.entries(words.spans)} />
        <button type="button" class="button primary" disabled={replay.busy.value} onClick={() => void replay.run()}>
          <Either busy={replay.busy.value} rest={words.replayRun(span_words)} work={words.replaying} />
        </button>
      </div>
      <FormProblem problem={replay.problem.value} />
      <div role="status">{found.value && !replay.problem.value && <Result replay={found.value} />}</div>
    </section>
  );
}

function Result({ replay }: { replay: Replay }) {
  const { totals } = replay;
  const figures: [string, string][] = [
    [whole(totals.firings), words.firings],
    [whole(totals.flaps), words.flaps],
    [whole(replay.notifications_total), words.notifications],
    [duration(totals.firing_seconds * 1000), words.firingTime],
  ];
  if (totals.nodata > 0) figures.push([whole(totals.nodata), words.nodata]);
  return (
    <>
      <dl class="figures">
        {figures.map(([figure, word]) => (
          <div key={word}>
            <dd class="figure">{figure}</dd>
            <dt>{word}</dt>
          </div>
        ))}
      </dl>
      <p class="muted small">
        {replay.samples === 0 ? words.noHistory : words.judged(whole(replay.samples), whole(replay.steps))}
        {replay.widened && ` ${words.widened(replay.step)}`}
      </p>
      <Warnings texts={replay.warnings} />
      <Strip replay={replay} />
      {replay.episodes.length === 0 ? <p>{words.quiet}</p> : <Episodes replay={replay} />}
    </>
  );
}

/** The time from the first to the last evaluation; dark where it would have fired. */
function Strip({ replay }: { replay: Replay }) {
  const [from, to] = [Date.parse(replay.start), Date.parse(replay.end)];
  const place = (at: number) => (1000 * (at - from)) / (to - from);
  return (
    <svg class="strip" viewBox="0 0 1000 20" preserveAspectRatio="none" aria-hidden="true">
      <rect class="strip-base" width="1000" height="20" />
      {replay.episodes.map((one, i) => {
        const begin = place(Date.parse(one.fired_at));
        const end = one.ended_at ? place(Date.parse(one.ended_at)) : 1000;
        return <rect key={i} class="strip-fired" x={begin} width={Math.max(2, end - begin)} height="20" />;
      })}
    </svg>
  );
}

function Episodes({ replay }: { replay: Replay }) {
  const newest = [...replay.episodes].reverse().slice(0, ROWS);
  const left = replay.episodes.length - newest.length + replay.episodes_left_out;
  return (
    <>
      <table class="table">
        <caption>{words.episodes}</caption>
        <thead>
          <tr>
            <th>{words.began}</th>
            <th>{words.lasted}</th>
            <th>{words.peak}</th>
            <th>{words.labels}</th>
          </tr>
        </thead>
        <tbody>
          {newest.map((one, i) => (
            <tr key={i}>
              <td>
                <Clock at={one.fired_at} />
              </td>
              <td>{one.ended_at ? duration(Date.parse(one.ended_at) - Date.parse(one.fired_at)) : words.stillFiring}</td>
              <td>
                <SeverityPill severity={one.peak} />
              </td>
              <td class="anywhere muted">{labelsText(one.labels)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {left > 0 && <p class="muted">{words.episodesMore(left)}</p>}
    </>
  );
}
