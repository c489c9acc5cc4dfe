/** One sentence that says how things are, and the parts that are not well. */

import { second, system } from "../../data/live";
import type { Resource } from "../../data/poll";
import type { HealthAnswer, List, TargetStatus } from "../../data/types";
import { ProblemCard } from "../../parts/problem";
import { Shape, TONE_OF_HEALTH } from "../../parts/status";
import { overview as words } from "../../text";
import { age } from "../../text/units";
import { named, sentence, troubled } from "./sentence";

export function Verdict({ health, targets }: { health: Resource<HealthAnswer>; targets: List<TargetStatus> | undefined }) {
  const answer = health.value.value;
  const error = health.error.value;
  if (!answer) {
    return error ? (
      <ProblemCard error={error} retry={health.retry} what={words.notHealth} />
    ) : (
      <section class="verdict card skeleton" aria-busy="true" aria-label={words.health} />
    );
  }
  const tone = TONE_OF_HEALTH[answer.status];
  const rest = troubled(answer.components).slice(1, 6);
  return (
    <section class={`verdict card ${tone}`} aria-label={words.health}>
      <Shape tone={tone} size={18} />
      <div class="verdict-text">
        <p class="sentence">
          {tone !== "ok" && <span class="verdict-word">{answer.status}. </span>}
          {sentence(answer, system.value?.host.hostname ?? "this host", targets?.total)}
        </p>
        {rest.length > 0 && (
          <ul class="verdict-more">
            {rest.map((one) => (
              <li key={one.name}>
                <Shape tone={TONE_OF_HEALTH[one.status]} /> {named(one)}
              </li>
            ))}
          </ul>
        )}
      </div>
      <p class="verdict-foot muted">
        {words.checked(answer.components.length, age(second.value - Date.parse(answer.timestamp)))}
      </p>
    </section>
  );
}
