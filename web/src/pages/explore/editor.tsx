/**
 * A field for PromQL that offers names while it is typed in and marks where it is wrong.
 *
 * What is offered never takes a key that a text needs: Enter takes an offer only once the
 * arrow keys chose it, and Tab leaves the field as soon as the list is closed by Escape.
 */

import { useSignal } from "@preact/signals";
import { useEffect, useId, useLayoutEffect, useRef } from "preact/hooks";

import { offerAt, type Offer } from "../../data/completion";
import { faultOf } from "../../data/promql_context";
import type { Problem } from "../../data/api";
import type { Name } from "../../data/promql_names";
import { Icon } from "../../parts/icon";
import { explore as words } from "../../text";

interface Props {
  letter: string;
  value: string;
  problem: Problem | undefined;
  run: (expr: string) => void;
  focus?: boolean;
}

export function Editor({ letter, value, problem, run, focus }: Props) {
  const field = useRef<HTMLTextAreaElement>(null);
  const offer = useSignal<Offer | undefined>(undefined);
  const chosen = useSignal(-1);
  const typed = useSignal(value);
  const asked = useRef(0);
  const id = useId();
  useEffect(() => void (typed.value = value), [value]);
  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    // As high as the text that wraps in it; the two are its borders.
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight + 2}px`;
  }, [typed.value]);
  useEffect(() => {
    if (focus) field.current?.focus();
  }, []);
  const close = () => {
    asked.current += 1;
    offer.value = undefined;
    chosen.value = -1;
  };
  const suggest = async () => {
    const element = field.current;
    if (!element) return;
    const mine = ++asked.current;
    const found = element.selectionStart === element.selectionEnd ? await offerAt(element.value, element.selectionStart) : undefined;
    if (mine !== asked.current || document.activeElement !== element) return;
    chosen.value = -1;
    offer.value = found;
  };
  const take = (name: Name | undefined) => {
    const element = field.current;
    const shown = offer.peek();
    if (!element || !shown || !name) return;
    element.setRangeText(name.name + (name.tail ?? ""), shown.from, shown.from + shown.typed.length, "end");
    typed.value = element.value;
    close();
    element.focus();
  };
  const onKey = (event: KeyboardEvent) => {
    const names = offer.value?.names ?? [];
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (event.key === " " && event.ctrlKey) void suggest();
    else if (names.length > 0 && step !== 0) chosen.value = (Math.max(chosen.value, step < 0 ? 0 : -1) + step + names.length) % names.length;
    else if (names.length > 0 && event.key === "Escape") close();
    else if (names.length > 0 && event.key === "Tab" && !event.shiftKey) take(names[Math.max(0, chosen.value)]);
    else if (event.key === "Enter" && !event.shiftKey) {
      if (chosen.value >= 0) take(names[chosen.value]);
      else {
        close();
        run(typed.value.trim());
      }
    } else return;
    event.preventDefault();
    document.getElementById(`${id}-${chosen.value}`)?.scrollIntoView({ block: "nearest" });
  };
  const names = offer.value?.names ?? [];
  const wrong = problem !== undefined && typed.value.trim() === value;
  return (
    <div class="promql">
      <span class="promql-letter" aria-hidden="true">
        {letter}
      </span>
      <textarea
        ref={field}
        class="mono"
        rows={1}
        spellcheck={false}
        autocomplete="off"
        value={typed.value}
        aria-label={words.expression(letter)}
        aria-autocomplete="list"
        aria-haspopup="listbox"
        aria-controls={names.length > 0 ? id : undefined}
        aria-activedescendant={chosen.value >= 0 ? `${id}-${chosen.value}` : undefined}
        aria-invalid={wrong ? true : undefined}
        aria-describedby={wrong ? `${id}-fault` : undefined}
        title={words.hint}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
          void suggest();
        }}
        onClick={close}
        onBlur={close}
        onKeyDown={onKey}
      />
      <button type="button" class="promql-run" title={words.run} aria-label={words.runOne(letter)} onClick={() => run(typed.value.trim())}>
        <Icon name="play" size={16} />
      </button>
      {names.length > 0 && (
        <ul class="promql-offers" id={id} role="listbox" tabIndex={-1} aria-label={words.offers}>
          {names.map((one, i) => (
            <li
              key={one.name}
              id={`${id}-${i}`}
              role="option"
              aria-selected={i === chosen.value}
              // Before the field loses the focus, and with it the list.
              onPointerDown={(event) => {
                event.preventDefault();
                take(one);
              }}
            >
              <code>{one.name}</code>
              <span class="muted">{one.about}</span>
            </li>
          ))}
        </ul>
      )}
      {wrong && <FaultText id={`${id}-fault`} expr={value} problem={problem} go={(at) => select(field.current, at)} />}
    </div>
  );
}

function select(element: HTMLTextAreaElement | null, at: number): void {
  element?.focus();
  element?.setSelectionRange(at, at + 1);
}

/** The expression again with the place marked, and what is wrong there. */
function FaultText({ id, expr, problem, go }: { id: string; expr: string; problem: Problem; go: (at: number) => void }) {
  const fault = faultOf(expr, problem.detail);
  return (
    <div class="problem" role="alert" id={id}>
      {fault ? (
        <>
          <p>
            <span class="muted">{words.faultAt(fault.at + 1)}</span> {fault.what}
          </p>
          <pre class="promql-fault">
            {expr.slice(0, fault.at)}
            <mark>{expr.charAt(fault.at) || " "}</mark>
            {expr.slice(fault.at + 1)}
          </pre>
          <p>
            <button type="button" class="button small" onClick={() => go(fault.at)}>
              {words.goThere}
            </button>
          </p>
        </>
      ) : (
        <p>{problem.message}</p>
      )}
      {problem.hint !== "" && <p>{problem.hint}</p>}
    </div>
  );
}
