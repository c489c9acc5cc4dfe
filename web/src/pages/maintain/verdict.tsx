/** What reading a whole backup said. */

import type { Answer } from "../../data/api";
import { Pill } from "../../parts/status";
import { Warnings } from "../../parts/warnings";
import { maintain as words, parts } from "../../text";
import { bytes, count, latency } from "../../text/units";

export type Verdict = Answer<"POST /api/v1/backups/{id}/verify">;

export function VerdictView({ verdict, close }: { verdict: Verdict; close: () => void }) {
  const remarks = [
    ...(verdict.manifest ? [] : [words.noManifest]),
    ...(verdict.unknown_tables.length > 0 ? [words.unknownTables(verdict.unknown_tables.join(", "))] : []),
  ];
  return (
    <div class="form">
      <p class="tags">
        <Pill tone={verdict.valid ? "ok" : "bad"}>{verdict.valid ? words.valid : words.broken}</Pill>
        <span>{words.read(bytes(verdict.bytes), latency(verdict.duration_ms))}</span>
      </p>
      {verdict.problems.map((text) => (
        <p key={text} class="fault">
          {text}
        </p>
      ))}
      <Warnings texts={remarks} />
      <p class="muted anywhere small">sha256 {verdict.sha256}</p>
      <RowCounts rows={verdict.rows} />
      <p class="dialog-foot">
        <button type="button" class="button primary" onClick={close}>
          {parts.close}
        </button>
      </p>
    </div>
  );
}

function RowCounts({ rows }: { rows: Readonly<Record<string, number>> }) {
  return (
    <details>
      <summary>{words.rows}</summary>
      <table class="table">
        <thead>
          <tr>
            <th>{words.table}</th>
            <th class="number">{words.rows}</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(rows).map(([table, number]) => (
            <tr key={table}>
              <td>{table}</td>
              <td class="number">{count(number)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
