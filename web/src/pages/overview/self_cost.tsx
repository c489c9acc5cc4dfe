/** What the watching itself costs, so that nobody has to ask. */

import { useEffect } from "preact/hooks";

import { refreshSystem, shown, system } from "../../data/live";
import { bytes, count, duration, NOTHING, percent } from "../../text/units";

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
    ["CPU", share === null ? NOTHING : `${percent(share)} of a core`],
    ["memory", bytes(now.self.rss_bytes)],
    ["written", bytes(now.self.written_bytes_total)],
    ["store", `${bytes(now.store.file_bytes)} of ${bytes(now.store.cap_bytes)}`],
    ["series", count(now.store.series)],
    ["up", duration(now.uptime_seconds * 1000)],
    ["version", now.version],
  ];
  return (
    <section class="self" aria-label="Cost of the agent itself">
      <h2>This agent</h2>
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
