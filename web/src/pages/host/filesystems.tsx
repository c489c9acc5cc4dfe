/** How full the filesystems are, and whether one is read-only or does not answer. */

import { call } from "../../data/api";
import { FILESYSTEM_SELECTORS, filesystemsOf, type Filesystem } from "../../data/filesystems";
import { usePolled } from "../../data/poll";
import { Meter, toneOfShare } from "../../parts/meter";
import { ProblemCard } from "../../parts/problem";
import { Pill } from "../../parts/status";
import { bytes, NOTHING, percent } from "../../text/units";

export function loadFilesystems(signal: AbortSignal): Promise<Filesystem[]> {
  const query = { query: [...FILESYSTEM_SELECTORS] };
  return call("GET /api/v1/query", { query, signal }).then(filesystemsOf);
}

export function Filesystems() {
  const rows = usePolled(loadFilesystems, 10_000);
  if (rows.error.value && !rows.value.value) {
    return <ProblemCard error={rows.error.value} retry={rows.retry} what="The filesystems could not be loaded" />;
  }
  const list = rows.value.value;
  if (!list || list.length === 0) return null;
  return (
    <div class="card table-card">
      <h3 id="filesystems-title">Filesystems</h3>
              <table class="table" aria-labelledby="filesystems-title">
          <thead>
            <tr>
              <th scope="col">Mounted at</th>
              <th scope="col">Used</th>
              <th scope="col" class="number broad">Free</th>
              <th scope="col" class="number broad">Size</th>
              <th scope="col" class="number broad">Inodes</th>
              <th scope="col">State</th>
            </tr>
          </thead>
          <tbody>
            {list.map((row) => (
              <Row key={row.mountpoint} row={row} />
            ))}
          </tbody>
        </table>
    </div>
  );
}

function Row({ row }: { row: Filesystem }) {
  const tone = row.ephemeral ? toneOfShare(row.usedShare, 101, 101) : toneOfShare(row.usedShare, 85, 95);
  const also = row.also.length === 0 ? "" : `, also at ${row.also.join(", ")}`;
  return (
    <tr>
      <th scope="row" title={`${row.mountpoint}${also}`}>
        <span class="strong cut">{row.mountpoint}</span>
        <span class="muted cut">
          {row.device} {row.type !== row.device && row.type}
          {row.also.length > 0 && `, ${row.also.length} more`}
        </span>
      </th>
      <td>
        <span class="metered">
          <Meter share={row.usedShare} tone={tone} />
          <span class="figure">{percent(row.usedShare)}</span>
        </span>
        <span class="narrow muted">
          {bytes(row.available)} free of {bytes(row.size)}
          {row.inodeShare !== undefined && `, inodes ${percent(row.inodeShare)}`}
        </span>
      </td>
      <td class="number broad">{bytes(row.available)}</td>
      <td class="number broad">{bytes(row.size)}</td>
      <td class="number broad">{row.inodeShare === undefined ? NOTHING : percent(row.inodeShare)}</td>
      <td>{row.stuck ? <Pill tone="bad">stuck</Pill> : row.readOnly ? <Pill tone="off">read-only</Pill> : <Pill tone="ok">ok</Pill>}</td>
    </tr>
  );
}
