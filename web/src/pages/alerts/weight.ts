/** The order of the inbox. */

import type { Alert } from "../../data/types";
import { rankOf } from "../../parts/severity";

/** What needs somebody first: not yet dealt with, then by severity; as they came where both are the same. */
export function byWeight(alerts: readonly Alert[]): Alert[] {
  const dealt = (alert: Alert) => Number(alert.acknowledged || alert.silenced_by.length > 0 || alert.inhibited_by.length > 0);
  return [...alerts].sort((a, b) => dealt(a) - dealt(b) || rankOf(b.severity_level) - rankOf(a.severity_level));
}
