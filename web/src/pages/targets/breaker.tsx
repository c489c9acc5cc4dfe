/** The breaker of a target: its machine, its figures, its changes, what an operator can do. */

import { call } from "../../data/api";
import { changes } from "../../data/live";
import { usePolled } from "../../data/poll";
import type { Breaker } from "../../data/types";
import { useAction } from "../../parts/action";
import { confirm } from "../../parts/confirm";
import { Facts } from "../../parts/facts";
import { Loaded } from "../../parts/loaded";
import { Shape } from "../../parts/status";
import { When } from "../../parts/when";
import { breaker as words } from "../../text";
import { duration, latency, percent } from "../../text/units";
import { deedsIn, type Deed } from "./deeds";
import { Machine } from "./machine";
import { BreakerPill } from "./state";

const WORDS: Record<Deed, string> = {
  reset: words.reset,
  "force-open": words.forceOpen,
  disable: words.disable,
  "metrics-only": words.metricsOnly,
  release: words.release,
};

const ROWS = 10;

export function BreakerCard({ name, done }: { name: string; done: () => void }) {
  const breaker = usePolled((signal) => call("GET /api/v1/targets/{name}/breaker", { path: { name }, signal }), 5000, changes);
  const deed = useAction(async (what: Deed) => {
    const { title, text } = words.asks[what];
    if (!(await confirm({ title: `${title}: ${name}`, text, action: WORDS[what] }))) return;
    const answer = await call(`POST /api/v1/targets/{name}/breaker/${what}`, { path: { name } });
    breaker.retry();
    done();
    return words.done(words.states[answer.state]);
  });
  return (
    <section class="card pad" aria-labelledby="breaker" data-breaker={breaker.value.value?.state}>
      <Loaded resource={breaker} what={words.title}>
        {(one) => (
          <>
            <h2 id="breaker">
              {words.title} <BreakerPill state={one.state} />
            </h2>
            <p class="muted small">{words.meanings[one.state]}</p>
            <div class="breaker">
              <Machine breaker={one} />
              <div>
                <Figures breaker={one} />
                <p class="row-actions start">
                  {deedsIn(one.state).map((what) => (
                    <button key={what} type="button" class="button small" disabled={deed.busy.value} onClick={() => void deed.run(what)}>
                      {WORDS[what]}
                    </button>
                  ))}
                </p>
              </div>
              <Transitions breaker={one} />
            </div>
          </>
        )}
      </Loaded>
    </section>
  );
}

function Figures({ breaker }: { breaker: Breaker }) {
  const { facts } = words;
  return (
    <Facts
      items={[
        [facts.since, <When at={breaker.since} />],
        [facts.next, breaker.next_attempt && <When at={breaker.next_attempt} />],
        [facts.attempt, breaker.attempt > 0 && words.times(breaker.attempt)],
        [facts.failures, String(breaker.failure_count)],
        [facts.window, words.window(breaker.window_calls, percent(100 * breaker.failure_rate), percent(100 * breaker.slow_rate))],
        [facts.average, latency(breaker.average_response_ms)],
        [facts.last, breaker.last_failure && <When at={breaker.last_failure} />],
        [facts.open, breaker.open_seconds > 0 && duration(1000 * breaker.open_seconds)],
        [facts.rejected, breaker.calls.rejected > 0 && String(breaker.calls.rejected)],
      ]}
    />
  );
}

function Transitions({ breaker }: { breaker: Breaker }) {
  return (
    <div>
      <h3>{words.transitions}</h3>
      {breaker.transitions.length === 0 ? (
        <p class="muted">{words.transitionsNone}</p>
      ) : (
        <ul class="rows">
          {breaker.transitions.slice(0, ROWS).map((one) => (
            <li key={one.at}>
              <Shape tone={one.to === "closed" ? "ok" : one.to === "half_open" ? "warn" : "bad"} />
              <span>
                {words.change(words.states[one.from], words.states[one.to])}
                <span class="second">{one.by ? words.by(one.by) : words.reasons[one.reason]}</span>
              </span>
              <When at={one.at} />
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
