/** What became of messages, with a way to try one again. */

import { call } from "../../data/api";
import { agentNow } from "../../data/live";
import type { Delivery } from "../../data/types";
import { useAction } from "../../parts/action";
import { Empty } from "../../parts/empty";
import { Pill, type Tone } from "../../parts/status";
import { Table, type Column } from "../../parts/table";
import { When } from "../../parts/when";
import { href } from "../../router";
import { deliveries as words } from "../../text";
import { latency, NOTHING } from "../../text/units";

const TONES: Record<Delivery["state"], Tone> = { queued: "warn", delivered: "ok", refused: "bad", expired: "bad", collapsed: "off" };

interface Props {
  items: readonly Delivery[];
  reload: () => void;
  /** What it means that there are none. */
  none?: string;
}

export function Deliveries({ items, reload, none = words.empty }: Props) {
  const columns: readonly Column<Delivery>[] = [
    { id: "about", title: words.columns.alert, head: true, wide: true, cell: (one) => <About delivery={one} /> },
    { id: "channel", title: words.columns.channel, sort: (one) => one.channel, cell: (one) => one.channel },
    { id: "state", title: words.columns.state, sort: (one) => one.state, cell: (one) => <State delivery={one} /> },
    { id: "answer", title: words.columns.answer, cell: (one) => <Answer delivery={one} /> },
    {
      id: "created",
      title: words.columns.created,
      number: true,
      sort: (one) => one.created_at,
      cell: (one) => <When at={one.created_at} />,
    },
    { id: "retry", title: words.retry, quiet: true, cell: (one) => (one.state === "delivered" || one.state === "collapsed" ? null : <Retry delivery={one} reload={reload} />) },
  ];
  return (
    <Table
      label={words.columns.kind}
      columns={columns}
      rows={items}
      keyOf={(one) => one.id}
      empty={<Empty title={words.emptyTitle} text={none} />}
    />
  );
}

function About({ delivery }: { delivery: Delivery }) {
  const [first, ...more] = delivery.alerts;
  return (
    <>
      {first ? <a href={href(`/alerts/${first.id}`)}>{first.title}</a> : <code>{delivery.id}</code>}
      <span class="second">
        {words.kinds[delivery.kind]}
        {more.length > 0 && ` ${words.more(more.length)}`}
      </span>
    </>
  );
}

function State({ delivery }: { delivery: Delivery }) {
  return (
    <>
      <Pill tone={TONES[delivery.state]}>{words.states[delivery.state]}</Pill>
      {delivery.state === "queued" && delivery.due_at && (
        <span class="second">
          {Date.parse(delivery.due_at) > agentNow() ? (
            <>
              {words.next} <When at={delivery.due_at} />
            </>
          ) : (
            words.overdue
          )}
        </span>
      )}
    </>
  );
}

function Answer({ delivery }: { delivery: Delivery }) {
  const last = delivery.attempts.at(-1);
  if (!last) return <>{NOTHING}</>;
  return (
    <>
      {last.answer}
      <span class="second">
        {words.columns.tries}: {delivery.tries}, {words.took(latency(last.latency_ms))}
      </span>
    </>
  );
}

function Retry({ delivery, reload }: { delivery: Delivery; reload: () => void }) {
  const retry = useAction(async () => {
    await call("POST /api/v1/monitoring/deliveries/{id}/retry", { path: { id: delivery.id } });
    reload();
    return words.retried;
  });
  return (
    <button type="button" class="button small" disabled={retry.busy.value} onClick={() => void retry.run()}>
      {words.retry}
    </button>
  );
}
