/** What a dry run found: who could take over, who not and why, and what it would cost. */

import type { Dry } from "../../data/types";
import { Facts } from "../../parts/facts";
import { Pill } from "../../parts/status";
import { moves as words, failover } from "../../text";
import { bytes, latency, NOTHING } from "../../text/units";
import { lossOf } from "./sentence";

const yesNo = (known: boolean | null | undefined) => (known === null || known === undefined ? words.asked : known ? words.yes : words.no);

export function DryResult({ report }: { report: Dry }) {
  const titles = words.testColumns;
  return (
    <div class="form">
      <p class="muted">{words.testLead}</p>
      <p>
        <Pill tone={report.would_promote ? "ok" : "bad"}>{report.would_promote ? words.wouldPromote(report.would_promote) : words.wouldNot}</Pill>
      </p>
      {report.refusal && <p class="fault">{failover.refused(failover.refusals[report.refusal.code], report.refusal.detail)}</p>}
      <div class="scroll" tabIndex={0} role="region" aria-label={failover.members}>
        <table class="table">
          <thead>
            <tr>
              {Object.entries(titles).map(([id, title]) => (
                <th key={id} scope="col" class={id === "lag" ? "number" : undefined}>
                  {title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {report.members.map((one) => (
              <tr key={one.name}>
                <th scope="row">{one.name}</th>
                <td>{yesNo(one.reachable)}</td>
                <td>{failover.roles[one.role]}</td>
                <td class="number">{bytes(one.lag_bytes)}</td>
                <td>{yesNo(one.grants)}</td>
                <td>{one.name === report.active ? NOTHING : yesNo(one.eligible)}</td>
                <td class="muted">{one.name === report.active ? failover.memberStates.active : one.reason}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Facts
        items={[
          [words.facts.time, report.would_promote && latency(report.expected_rto_ms)],
          [words.facts.loss, report.would_promote && lossOf(report)],
          [failover.tier, report.guarantee.replaceAll("`", "")],
        ]}
      />
      {report.findings.length > 0 && <p class="muted small">{words.findings(report.findings.length)}</p>}
    </div>
  );
}
