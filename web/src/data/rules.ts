/** How often rules fired lately: how much noise each of them makes. */

import { agentNow } from "./live";
import { call } from "./api";
import { DAY } from "../time/range";

const SPAN = 7 * DAY;
const PAGE = 1000;
const MOST_PAGES = 5;

/** Firings by rule over the last seven days. */
export async function fireCounts(signal: AbortSignal): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const since = new Date(agentNow() - SPAN).toISOString();
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const query = { state: "all", since, limit: PAGE, offset: page * PAGE };
    const answer = await call("GET /api/v1/monitoring/alerts", { query, signal });
    for (const alert of answer.alerts) {
      if (alert.fired_at) counts.set(alert.rule, (counts.get(alert.rule) ?? 0) + 1);
    }
    if ((page + 1) * PAGE >= answer.total) break;
  }
  return counts;
}
