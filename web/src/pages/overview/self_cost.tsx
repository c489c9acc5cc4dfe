/** What the watching itself costs, so that nobody has to ask. */

import { useEffect } from "preact/hooks";

import { refreshSystem, shown, system } from "../../data/live";
import { overview as words } from "../../text";
import { bytes, count, duration, NOTHING, percent } from "../../text/units";

const names = words.agentFacts;
const PERIOD = 10_000;

export function SelfCost() {
  useEffect(() => {
    const timer = setInterval(() => {
      if (shown.peek()) void refreshSystem();
    }, PERIOD);
    return () => clearInterval(timer);
  }, []);
  const now = system.value;
  if (!now) return null;
  const share = now.self.cpu_percent;
  const facts: [string, string][] = [
    [names.cpu, share === null || share === undefined ? NOTHING : words.ofCore(percent(share))],
    [names.memory, bytes(now.self.rss_bytes)],
    [names.written, bytes(now.self.written_bytes_total)],
    [names.store, words.of(bytes(now.store.file_bytes), bytes(now.store.cap_bytes))],
    [names.series, count(now.store.series)],
    [names.up, duration(now.uptime_seconds * 1000)],
    [names.version, now.version],
  ];
  return (
    <section class="self" aria-label={words.agentLabel}>
      <h2>{words.agent}</h2>
      <dl>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="figure">{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
