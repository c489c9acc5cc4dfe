/** The agent's one file: what fills it, what is waste, and how it is made smaller. */

import { useComputed, useSignal } from "@preact/signals";

import { call, type Answer } from "../../data/api";
import { usePolled } from "../../data/poll";
import { useAction } from "../../parts/action";
import { confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Either } from "../../parts/either";
import { Facts } from "../../parts/facts";
import { Loaded } from "../../parts/loaded";
import { Meter, toneOfShare } from "../../parts/meter";
import { Table, type Column } from "../../parts/table";
import { maintain as words, parts } from "../../text";
import { bytes, count, latency, percent } from "../../text/units";

type File = Answer<"GET /api/v1/system/store">;
type Row = File["tables"][number];
type Cleaned = Answer<"POST /api/v1/system/cleanup">;

const COLUMNS: readonly Column<Row>[] = [
  { id: "table", title: words.storeColumns.table, head: true, wide: true, sort: (one) => one.table, cell: (one) => one.table },
  { id: "rows", title: words.storeColumns.rows, number: true, sort: (one) => one.rows, cell: (one) => count(one.rows) },
  { id: "stored", title: words.storeColumns.stored, number: true, sort: (one) => one.stored_bytes, cell: (one) => bytes(one.stored_bytes) },
  { id: "metadata", title: words.storeColumns.metadata, number: true, sort: (one) => one.metadata_bytes, cell: (one) => bytes(one.metadata_bytes) },
  { id: "fragmented", title: words.storeColumns.fragmented, number: true, sort: (one) => one.fragmented_bytes, cell: (one) => bytes(one.fragmented_bytes) },
];

export function Store() {
  const file = usePolled((signal) => call("GET /api/v1/system/store", { signal }), 60_000);
  const found = useSignal<Cleaned | undefined>(undefined);
  const open = useComputed(() => found.value !== undefined);
  const compact = useAction(async () => {
    if (!(await confirm({ title: words.compactTitle, text: words.compactText, action: words.compact }))) return;
    const { gained_bytes, duration_ms } = await call("POST /api/v1/system/compact");
    file.retry();
    return words.compacted(bytes(gained_bytes), latency(duration_ms));
  });
  const look = useAction(async () => {
    found.value = await call("POST /api/v1/system/cleanup", { body: { dry_run: true } });
  });
  const close = () => (found.value = undefined);
  return (
    <>
      <div class="head-row">
        <p class="muted grow">{words.storeLead}</p>
        <button type="button" class="button" disabled={look.busy.value} onClick={() => void look.run()}>
          {words.cleanup}
        </button>
        <button type="button" class="button" disabled={compact.busy.value} onClick={() => void compact.run()}>
          <Either busy={compact.busy.value} rest={words.compact} work={words.compacting} />
        </button>
      </div>
      <Loaded resource={file} what={words.tabs.store}>
        {(held) => (
          <>
            <section class="card pad narrow-form" aria-label={words.file}>
              <Figures file={held} />
            </section>
            <Table label={words.tabs.store} columns={COLUMNS} rows={held.tables} keyOf={(one) => one.table} sorted="-stored" empty="" />
          </>
        )}
      </Loaded>
      <Dialog open={open} onClose={close} title={words.cleanupTitle}>
        {found.value && <Cleanup found={found.value} close={close} done={file.retry} />}
      </Dialog>
    </>
  );
}

function Figures({ file }: { file: File }) {
  return (
    <Facts
      items={[
        [
          words.file,
          <>
            {words.ofCap(bytes(file.file_bytes), bytes(file.cap_bytes))}
            <Meter share={(100 * file.file_bytes) / file.cap_bytes} tone={toneOfShare((100 * file.file_bytes) / file.cap_bytes, 95, 100)} />
          </>,
        ],
        [words.free, bytes(file.free_bytes)],
        [words.waste, percent(100 * file.fragmentation)],
        [words.cache, words.ofCap(bytes(file.cache.used_bytes), bytes(file.cache.limit_bytes))],
      ]}
    />
  );
}

function Cleanup({ found, close, done }: { found: Cleaned; close: () => void; done: () => void }) {
  const gone = (Object.entries(words.gone) as [keyof typeof words.gone, string][]).filter(([key]) => found[key] > 0);
  const run = useAction(async () => {
    const cleaned = await call("POST /api/v1/system/cleanup", { body: { dry_run: false } });
    close();
    done();
    return words.cleaned(bytes(cleaned.bytes));
  });
  return (
    <div class="form">
      <p>{gone.length === 0 ? words.cleanupNothing : words.cleanupLead}</p>
      {gone.length > 0 && <Facts items={[...gone.map(([key, name]) => [name, count(found[key])] as const), [words.room, bytes(found.bytes)] as const]} />}
      <p class="dialog-foot">
        <button type="button" class="button" onClick={close}>
          {gone.length === 0 ? parts.close : parts.cancel}
        </button>
        {gone.length > 0 && (
          <button type="button" class="button danger" disabled={run.busy.value} onClick={() => void run.run()}>
            {words.cleanupNow}
          </button>
        )}
      </p>
    </div>
  );
}
