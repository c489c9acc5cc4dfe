/** Where notifications go, whether each channel works, and what became of the messages. */

import { useSignal } from "@preact/signals";

import { call, type Answer } from "../../data/api";
import { alertChanges } from "../../data/live";
import { usePolled, type Resource } from "../../data/poll";
import type { Channel, List } from "../../data/types";
import { useAction } from "../../parts/action";
import { Command } from "../../parts/command";
import { Dialog } from "../../parts/dialog";
import { Either } from "../../parts/either";
import { Empty } from "../../parts/empty";
import { Loaded } from "../../parts/loaded";
import { Pill, type Tone } from "../../parts/status";
import { Table, type Column } from "../../parts/table";
import { Tabs } from "../../parts/tabs";
import { When } from "../../parts/when";
import { channels as words } from "../../text";
import { latency, NOTHING } from "../../text/units";
import { DeliveryLog } from "./log";
import { ChannelDialog, removeChannel, type Edited } from "./editor";

const EXAMPLE = `[[channel.ntfy]]
name = "phone"
url = "https://ntfy.example"
topic = "nas-alerts"`;

type Tested = Answer<"POST /api/v1/monitoring/channels/{name}/test">;

function stateOf(channel: Channel): { tone: Tone; word: string } {
  if (!channel.enabled) return { tone: "off", word: words.off };
  return channel.breaker === "closed" ? { tone: "ok", word: words.ready } : { tone: "bad", word: words.failing };
}

export function ChannelsPage() {
  const list = usePolled((signal) => call("GET /api/v1/monitoring/channels", { query: { limit: 1000 }, signal }), 10_000, alertChanges);
  const edited = useSignal<Edited | undefined>(undefined);
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <button type="button" class="button primary" onClick={() => (edited.value = {})}>
          {words.add}
        </button>
        <p class="lead muted">{words.lead}</p>
      </div>
      <Tabs
        label={words.title}
        tabs={[
          {
            id: "channels",
            title: words.tabs.channels,
            count: list.value.value?.total,
            body: () => <ChannelTable list={list} edit={(one) => void (edited.value = one)} />,
          },
          {
            id: "deliveries",
            title: words.tabs.deliveries,
            body: () => <DeliveryLog channels={list.value.value?.items.map((one) => one.name) ?? []} />,
          },
        ]}
      />
      <ChannelDialog edited={edited} done={list.retry} />
    </div>
  );
}

function ChannelTable({ list, edit }: { list: Resource<List<Channel>>; edit: (one: Edited) => void }) {
  const tested = useSignal<(Tested & { name: string }) | undefined>(undefined);
  const shown = useSignal(false);
  const columns: Column<Channel>[] = [
    { id: "name", title: words.columns.name, head: true, sort: (one) => one.name, cell: (one) => <strong>{one.name}</strong> },
    { id: "kind", title: words.columns.kind, sort: (one) => one.kind, cell: (one) => one.kind },
    { id: "address", title: words.columns.address, cell: (one) => <span class="muted">{one.address}</span> },
    {
      id: "state",
      title: words.columns.state,
      sort: (one) => stateOf(one).word,
      cell: (one) => <Pill tone={stateOf(one).tone}>{stateOf(one).word}</Pill>,
    },
    { id: "queued", title: words.columns.queued, number: true, sort: (one) => one.queued, cell: (one) => one.queued },
    {
      id: "last",
      title: words.columns.last,
      cell: (one) =>
        one.last_answer ? (
          <>
            {one.last_answer}
            <span class="second">
              <When at={one.last_at} />
            </span>
          </>
        ) : (
          NOTHING
        ),
    },
    {
      id: "actions",
      title: words.test,
      quiet: true,
      cell: (one) => (
        <Actions
          channel={one}
          edit={edit}
          reload={list.retry}
          show={(answer) => {
            tested.value = { ...answer, name: one.name };
            shown.value = true;
          }}
        />
      ),
    },
  ];
  return (
    <Loaded resource={list} what={words.title}>
      {(answer) => (
        <>
          <Table
            label={words.title}
            columns={columns}
            rows={answer.items}
            keyOf={(one) => one.name}
            empty={<Empty title={words.emptyTitle} text={words.emptyText} command={{ text: EXAMPLE, label: words.emptyLabel }} />}
          />
          <Dialog open={shown} title={words.testTitle(tested.value?.name ?? "")} kind="wide">
            {tested.value && <Result tested={tested.value} />}
          </Dialog>
        </>
      )}
    </Loaded>
  );
}

interface ActionProps {
  channel: Channel;
  edit: (one: Edited) => void;
  reload: () => void;
  show: (answer: Tested) => void;
}

function Actions({ channel, edit, reload, show }: ActionProps) {
  const path = { name: channel.name };
  const test = useAction(async () => {
    show(await call("POST /api/v1/monitoring/channels/{name}/test", { path }));
    reload();
  });
  const open = useAction(async () => edit({ section: await call("GET /api/v1/monitoring/channels/{name}", { path }) }));
  const remove = useAction(async () => {
    const said = await removeChannel(channel);
    reload();
    return said;
  });
  return (
    <span class="row-actions">
      <button type="button" class="button small primary" disabled={test.busy.value} onClick={() => void test.run()}>
        <Either busy={test.busy.value} rest={words.test} work={words.testing} />
      </button>
      <button type="button" class="button small" disabled={open.busy.value} onClick={() => void open.run()}>
        {words.edit}
      </button>
      <button type="button" class="button small" disabled={remove.busy.value} onClick={() => void remove.run()}>
        {words.remove}
      </button>
    </span>
  );
}

/** A message of HTTP with its body laid out, where that is JSON. */
function readable(message: string): string {
  const at = message.indexOf("\n\n");
  try {
    return at < 0 ? message : message.slice(0, at + 2) + JSON.stringify(JSON.parse(message.slice(at + 2)), null, 2);
  } catch {
    return message;
  }
}

/** What really went out and came back: the fault is mostly seen there. */
function Result({ tested }: { tested: Tested }) {
  return (
    <div class="form">
      <p class="tags">
        <Pill tone={tested.delivered ? "ok" : "bad"}>{tested.delivered ? words.testGood(latency(tested.latency_ms)) : words.testBad}</Pill>
        <span>{tested.answer}</span>
      </p>
      <h3>{words.came}</h3>
      <Command text={readable(tested.response)} label={words.came} />
      <h3>{words.sent}</h3>
      <Command text={readable(tested.request)} label={words.sent} />
    </div>
  );
}
