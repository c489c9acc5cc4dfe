/** What was set at run time and differs from the file; each can be given back to the file. */

import { useEffect } from "preact/hooks";

import { drift, isListed, type Config } from "../../data/config";
import { usePolled, type Resource } from "../../data/poll";
import type { Schemas } from "../../data/types";
import { Empty } from "../../parts/empty";
import { FormProblem } from "../../parts/form";
import { Loaded } from "../../parts/loaded";
import { Table, type Column } from "../../parts/table";
import { settings as words } from "../../text";
import { useApply, type Apply } from "./apply";
import { originText, ValueText } from "./values";

type Drift = Schemas["Drift"];

const side = (id: "file" | "runtime" | "effective"): Column<Drift> => ({
  id,
  title: words.driftColumns[id],
  cell: (one) => <ValueText value={one[id]} />,
});

const overruled = (one: Drift) => one.origin.source !== "runtime";

function columnsOf(apply: Apply, rows: readonly Drift[]): Column<Drift>[] {
  return [
    { id: "key", title: words.driftColumns.key, head: true, sort: (one) => one.key, cell: (one) => <code class="strong key">{one.key}</code> },
    side("file"),
    side("runtime"),
    // Said only where a variable or a flag stands above both.
    ...(rows.some(overruled) ? [{ ...side("effective"), cell: (one: Drift) => (overruled(one) ? <ValueText value={one.effective} /> : "") }] : []),
    { id: "by", title: words.driftColumns.by, cell: (one) => <span class="muted">{originText(one.origin)}</span> },
    {
      id: "deed",
      title: words.takeBack,
      quiet: true,
      cell: (one) =>
        isListed(one.key) ? null : (
          <button
            type="button"
            class="button small"
            aria-label={words.takeBackKey(one.key)}
            disabled={apply.busy.value}
            onClick={() => void apply.run({ [one.key]: null })}
          >
            {words.takeBack}
          </button>
        ),
    },
  ];
}

export function DriftTable({ config }: { config: Resource<Config> }) {
  const list = usePolled(drift, 30_000);
  const held = config.value.value;
  // Whatever changed the configuration changed its difference to the file.
  useEffect(() => list.retry(), [held?.etag]);
  return (
    <>
      <p class="muted">{words.driftLead}</p>
      <Loaded resource={list} what={words.tabs.drift}>
        {(answer) => held && <Rows key={held.etag} config={config} rows={answer.items} />}
      </Loaded>
    </>
  );
}

function Rows({ config, rows }: { config: Resource<Config>; rows: readonly Drift[] }) {
  const apply = useApply(config);
  return (
    <>
      <FormProblem problem={apply.problem.value} />
      <Table label={words.tabs.drift} columns={columnsOf(apply, rows)} rows={rows} keyOf={(one) => one.key} empty={<Empty title={words.noDriftTitle} text={words.noDrift} />} />
    </>
  );
}
