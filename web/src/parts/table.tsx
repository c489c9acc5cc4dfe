/**
 * A table: sortable, its head stays in sight, rows can be selected; in a narrow window each
 * row becomes a card. The roles are written out because a card is no table to the browser.
 */

import { useSignal, type Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

import { parts } from "../text";
import { compare, type Sortable } from "./sort";

export interface Column<T> {
  id: string;
  title: string;
  cell: (row: T) => ComponentChildren;
  /** By what it is sorted; without it, it is not. */
  sort?: (row: T) => Sortable;
  number?: boolean;
  /** Its title is heard and not seen, as that of a row of buttons. */
  quiet?: boolean;
  /** Takes the room that the others leave. */
  wide?: boolean;
  /** The heading of the card in a narrow window. */
  head?: boolean;
}

interface Props<T> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string;
  /** What stands there instead of no rows: what to do next. */
  empty: ComponentChildren;
  /** How it is sorted at first: `name`, or `-name` for the largest first; else as it comes. */
  sorted?: string;
  selected?: Signal<ReadonlySet<string>>;
  /** Name of a row, for who hears the page. */
  nameOf?: (row: T) => string;
  toneOf?: (row: T) => string;
}

export function Table<T>(props: Props<T>) {
  const order = useSignal(props.sorted ?? "");
  const { columns, keyOf, selected } = props;
  const down = order.value.startsWith("-");
  const by = columns.find((one) => one.id === order.value.replace(/^-/, ""));
  const sort = by?.sort;
  const rows = sort ? [...props.rows].sort((a, b) => compare(sort(a), sort(b)) * (down ? -1 : 1)) : props.rows;
  if (rows.length === 0) return <div class="card">{props.empty}</div>;
  const press = (id: string) => (order.value = order.value === id ? `-${id}` : id);
  return (
    <div class="card list">
      <SortChoice columns={columns} order={order} />
      <table class="table" role="table" aria-label={props.label}>
        <thead role="rowgroup">
          <tr role="row">
            {selected && (
              <th role="columnheader" class="pick">
                <SelectAll keys={rows.map(keyOf)} selected={selected} />
              </th>
            )}
            {columns.map((one) => (
              <th
                key={one.id}
                role="columnheader"
                class={classOf(one)}
                aria-sort={one === by ? (down ? "descending" : "ascending") : undefined}
              >
                {one.sort ? (
                  <button type="button" class="sort" onClick={() => press(one.id)}>
                    {one.title}
                    <span class={`sort-mark${one === by ? " on" : ""}`} aria-hidden="true">
                      {one === by && down ? "\u25be" : "\u25b4"}
                    </span>
                  </button>
                ) : (
                  <span class={one.quiet ? "visually-hidden" : undefined}>{one.title}</span>
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr key={keyOf(row)} role="row" class={props.toneOf?.(row)} data-key={keyOf(row)}>
              {selected && (
                <td role="cell" class="pick">
                  <Pick name={props.nameOf?.(row) ?? keyOf(row)} value={keyOf(row)} selected={selected} />
                </td>
              )}
              {columns.map((one) => (
                <td key={one.id} role="cell" class={classOf(one)} data-title={one.quiet ? "" : one.title}>
                  {one.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function classOf<T>(column: Column<T>): string | undefined {
  const classes = [column.number && "number", column.wide && "broadest", column.head && "head"].filter(Boolean);
  return classes.length === 0 ? undefined : classes.join(" ");
}

/** The head is not seen where rows are cards; this takes its place there. */
function SortChoice<T>({ columns, order }: { columns: readonly Column<T>[]; order: Signal<string> }) {
  const sortable = columns.filter((one) => one.sort);
  if (sortable.length === 0) return null;
  return (
    <label class="sort-choice">
      {parts.sortBy}
      <select value={order.value} onChange={(event) => (order.value = event.currentTarget.value)}>
        <option value="">{"\u2013"}</option>
        {sortable.flatMap((one) => [
          <option key={one.id} value={one.id}>
            {parts.sorted(one.title, false)}
          </option>,
          <option key={`-${one.id}`} value={`-${one.id}`}>
            {parts.sorted(one.title, true)}
          </option>,
        ])}
      </select>
    </label>
  );
}

function SelectAll({ keys, selected }: { keys: readonly string[]; selected: Signal<ReadonlySet<string>> }) {
  const all = keys.every((key) => selected.value.has(key));
  const some = !all && keys.some((key) => selected.value.has(key));
  return (
    <input
      type="checkbox"
      aria-label={parts.selectAll}
      checked={all}
      ref={(element) => {
        if (element) element.indeterminate = some;
      }}
      onChange={() => (selected.value = new Set(all ? [] : keys))}
    />
  );
}

function Pick({ name, value, selected }: { name: string; value: string; selected: Signal<ReadonlySet<string>> }) {
  return (
    <input
      type="checkbox"
      aria-label={parts.selectOne(name)}
      checked={selected.value.has(value)}
      onChange={(event) => {
        const next = new Set(selected.value);
        if (event.currentTarget.checked) next.add(value);
        else next.delete(value);
        selected.value = next;
      }}
    />
  );
}
