/**
 * Whether the figures move, and how old they are; a press stops or starts them.
 *
 * The words change once a second at most and are not announced: a screen reader
 * hears only the change between connected and not (see the shell).
 */

import { range, resetRange, setRange, live } from "../router";
import { agentNow, connection, dataAge, FRESH, heardAt } from "../data/live";
import { Icon } from "../parts/icon";
import { Shape, type Tone } from "../parts/status";
import { age } from "../text/units";
import { fixedRange, resolve } from "../time/range";

export function toggleLive(): void {
  if (!live.value) {
    resetRange();
    return;
  }
  const window = resolve(range.value, agentNow());
  setRange(fixedRange(window.from, window.to));
}

function state(): { tone: Tone; words: string; title: string } {
  const old = age(dataAge.value);
  const cut = connection.value === "waiting" || connection.value === "connecting";
  if (cut && heardAt.value === 0) {
    return connection.value === "connecting"
      ? { tone: "off", words: "connecting", title: "Connecting to the agent" }
      : { tone: "bad", words: "no connection, retrying", title: "The agent cannot be reached" };
  }
  if (cut && dataAge.value > FRESH) {
    return { tone: "bad", words: `disconnected ${old}, retrying`, title: "What is shown is old" };
  }
  if (!live.value) return { tone: "off", words: "fixed range", title: "The charts stand still" };
  if (dataAge.value > FRESH) return { tone: "warn", words: `${old} ago`, title: "Age of the newest figures" };
  return { tone: "ok", words: "live", title: "Figures arrive as they are collected" };
}

export function LiveBadge() {
  const { tone, words, title } = state();
  const action = live.value ? "Stop the charts (l)" : "Go live (l)";
  return (
    <button type="button" class={`live ${tone}`} onClick={toggleLive} title={`${title}. ${action}`} data-live={words}>
      <Shape tone={tone} />
      <span class="live-words">{words}</span>
      <Icon name={live.value ? "pause" : "play"} size={14} />
      <span class="visually-hidden">{action}</span>
    </button>
  );
}
