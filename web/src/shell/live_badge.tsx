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
import { live as words } from "../text";
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
      ? { tone: "off", words: words.connecting, title: words.connectingTitle }
      : { tone: "bad", words: words.none, title: words.noneTitle };
  }
  if (cut && dataAge.value > FRESH) {
    return { tone: "bad", words: words.cut(old), title: words.cutTitle };
  }
  if (!live.value) return { tone: "off", words: words.fixed, title: words.fixedTitle };
  if (dataAge.value > FRESH) return { tone: "warn", words: words.old(old), title: words.oldTitle };
  return { tone: "ok", words: words.live, title: words.liveTitle };
}

export function LiveBadge() {
  const { tone, words: said, title } = state();
  const action = live.value ? words.stop : words.start;
  return (
    <button type="button" class={`live ${tone}`} onClick={toggleLive} title={`${title}. ${action}`} data-live={said}>
      <Shape tone={tone} />
      <span class="live-words">{said}</span>
      <Icon name={live.value ? "pause" : "play"} size={14} />
      <span class="visually-hidden">{action}</span>
    </button>
  );
}
