/** Events as they happen: chosen by type, paused and resumed without loss, gaps shown. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { told } from "../../data/event_words";
import { MOST_ROWS, startTail, type Tail } from "../../data/tail";
import type { EventMessage } from "../../data/types";
import { Command } from "../../parts/command";
import { Empty } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { Pill, Shape, type Tone } from "../../parts/status";
import { Clock } from "../../parts/when";
import { filter, href, setFilters } from "../../router";
import { events as words } from "../../text";

type Type = keyof typeof words.types;

const ALL = Object.keys(words.types) as Type[];
/** Figures come every second or so: only who wants them sees them. */
const USUAL = ALL.filter((type) => type !== "metrics");

function chosen(): Type[] {
  const given = filter("types").split(",").filter((type): type is Type => type in words.types);
  return given.length === 0 ? USUAL : given;
}

export function EventsPage() {
  const types = chosen();
  const turn = (type: Type) => {
    const next = types.includes(type) ? types.filter((one) => one !== type) : [...types, type];
    const same = next.length === USUAL.length && USUAL.every((one) => next.includes(one));
    setFilters({ types: same ? "" : next.join(",") });
  };
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <p class="lead muted">{words.lead}</p>
      </div>
      <div class="chips" role="group" aria-label={words.shown}>
        {ALL.map((type) => (
          <button key={type} type="button" class="chip" aria-pressed={types.includes(type)} onClick={() => turn(type)}>
            {words.types[type]}
          </button>
        ))}
      </div>
      <List key={types.join()} types={types} />
    </div>
  );
}

const TONES: Record<Tail["state"]["value"], Tone> = { open: "ok", connecting: "off", waiting: "bad", paused: "warn" };

function List({ types }: { types: readonly Type[] }) {
  const tail = useMemo(() => startTail(types), []);
  useEffect(() => tail.stop, []);
  const state = tail.state.value;
  const rows = tail.rows.value;
  const paused = state === "paused";
  return (
    <section class="card pad" aria-label={words.title} data-tail={state}>
      <div class="tail-bar">
        <span role="status">
          <Pill tone={TONES[state]}>{words.states[state]}</Pill>
        </span>
        <button type="button" class="button small" onClick={() => (paused ? tail.resume() : tail.pause())}>
          <Icon name={paused ? "play" : "pause"} size={14} /> {paused ? words.resume : words.pause}
        </button>
        <button type="button" class="button small" onClick={tail.clear}>
          {words.clear}
        </button>
        {paused && <span class="muted">{words.pausedText}</span>}
      </div>
      {rows.length === 0 ? (
        <Empty title={words.none} text={words.noneText} />
      ) : (
        <ol class="tail">
          {rows.map((message) => (
            <Row key={`${message.type} ${message.seq}`} message={message} />
          ))}
        </ol>
      )}
      {rows.length >= MOST_ROWS && <p class="muted small">{words.cut(MOST_ROWS)}</p>}
    </section>
  );
}

function Row({ message }: { message: EventMessage }) {
  const open = useSignal(false);
  const { text, detail, tone, href: to } = told(message);
  if (message.type === "gap") {
    return (
      <li class="gap-mark">
        <Shape tone="warn" /> {text}
      </li>
    );
  }
  return (
    <li>
      <details onToggle={(event) => (open.value = event.currentTarget.open)}>
        <summary>
          <Clock at={message.timestamp} />
          <span class="tag">{words.types[message.type]}</span>
          <Shape tone={tone} />
          <span class="tail-text">
            <span>{text}</span> <span class="muted">{detail}</span>
          </span>
        </summary>
        {open.value && (
          <div class="tail-more">
            {to && (
              <p>
                <a href={href(to)}>{text}</a> <span class="muted">{words.number(message.seq)}</span>
              </p>
            )}
            <Command text={JSON.stringify(message.data, null, 2)} label={words.rawLabel} />
          </div>
        )}
      </details>
    </li>
  );
}
