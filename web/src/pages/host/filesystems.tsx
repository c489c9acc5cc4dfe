/** How full the filesystems are, and whether one is read-only or does not answer. */

import { call } from "../../data/api";
import { FILESYSTEM_SELECTORS, filesystemsOf, type Filesystem } from "../../data/filesystems";
import { usePolled } from "../../data/poll";
import { Meter, toneOfShare } from "../../parts/meter";
import { ProblemCard } from "../../parts/problem";
import { Pill } from "../../parts/status";
import { host as words } from "../../text";
import { bytes, NOTHING, percent } from "../../text/units";

export function loadFilesystems(signal: AbortSignal): Promise<Filesystem[]> {
  const query = { query: [...FILESYSTEM_SELECTORS] };
  return call("GET /api/v1/query", { query, signal }).then(filesystemsOf);
}

export function Filesystems() {
  const rows = usePolled(loadFilesystems, 10_000);
  if (rows.error.value && !rows.value.value) {
    return <ProblemCard error={rows.error.value} retry={rows.retry} what={words.notFilesystems} />;
  }
  const list = rows.value.value;
  if (!list || list.length === 0) return null;
  return (
    <div class="card table-card">
      <h3 id="filesystems-title">{words.filesystems}</h3>
        <table class="table" aria-labelledby="filesystems-title">
          <thead>
            <tr>
              <th scope="col">{words.mounted}</th>
              <th scope="col">{words.used}</th>
              <th scope="col" class="number broad">{words.free}</th>
              <th scope="col" class="number broad">{words.size}</th>
              <th scope="col" class="number broad">{words.inodes}</th>
              <th scope="col">{words.state}</th>
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
  const also = row.also.length === 0 ? "" : words.alsoAt(row.also.join(", "));
  return (
    <tr>
      <th scope="row" title={`${row.mountpoint}${also}`}>
        <span class="strong cut">{row.mountpoint}</span>
        <span class="muted cut">
          {row.device} {row.type !== row.device && row.type}
          {row.also.length > 0 && words.more(row.also.length)}
        </span>
      </th>
      <td>
        <span class="metered">
          <Meter share={row.usedShare} tone={tone} />
          <span class="figure">{percent(row.usedShare)}</span>
        </span>
        <span class="narrow muted">
          {words.freeOf(bytes(row.available), bytes(row.size))}
          {row.inodeShare !== undefined && words.inodesUsed(percent(row.inodeShare))}
        </span>
      </td>
      <td class="number broad">{bytes(row.available)}</td>
      <td class="number broad">{bytes(row.size)}</td>
      <td class="number broad">{row.inodeShare === undefined ? NOTHING : percent(row.inodeShare)}</td>
      <td>{row.stuck ? <Pill tone="bad">{words.stuck}</Pill> : row.readOnly ? <Pill tone="off">{words.readOnly}</Pill> : <Pill tone="ok">{words.ok}</Pill>}</td>
    </tr>
  );
}
