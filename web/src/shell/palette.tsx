/** Goes to any page and runs any action by name: Ctrl K or `/`. */

import { signal, useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { signIn, who } from "../data/session";
import { GROUPS } from "../pages";
import { Dialog } from "../parts/dialog";
import { navigate } from "../router";
import { shell } from "../text";
import { KEYS } from "./keyboard";
import { ranked } from "./rank";
import { nextContrast } from "./theme";
import { leave } from "./who";

export interface Action {
  name: string;
  kind: string;
  run: () => void;
}

const open = signal(false);

export function openPalette(): void {
  open.value = true;
}

/** What pages add while they are shown. */
const added = signal<readonly Action[]>([]);

/** Adds actions to the palette while the caller is shown. */
export function usePaletteActions(actions: readonly Omit<Action, "kind">[]): void {
  useEffect(() => {
    const mine: Action[] = actions.map((one) => ({ ...one, kind: shell.action }));
    added.value = [...added.value, ...mine];
    return () => {
      added.value = added.value.filter((one) => !mine.includes(one));
    };
  }, []);
}

function everything(): Action[] {
  const pages = GROUPS.flatMap(({ pages }) => pages).map((page) => ({
    name: page.title,
    kind: shell.goTo,
    run: () => navigate(page.path),
  }));
  const keys = KEYS.filter((key) => key.key !== "/").map((key) => ({ name: key.words, kind: shell.action, run: key.run }));
  const session = who.value === "" ? { name: shell.signIn, run: () => void signIn() } : { name: shell.signOut, run: () => void leave() };
  return [
    ...pages,
    ...added.value,
    ...keys,
    { name: shell.highContrast, kind: shell.action, run: nextContrast },
    { ...session, kind: shell.action },
  ];
}

export function Palette() {
  return (
    <Dialog open={open} title={shell.search} kind="palette">
      <Search />
    </Dialog>
  );
}

function Search() {
  const typed = useSignal("");
  const at = useSignal(0);
  const input = useRef<HTMLInputElement>(null);
  const found = useComputed(() => ranked(everything(), typed.value, (one) => one.name));
  useEffect(() => input.current?.focus(), []);
  const run = (action: Action | undefined) => {
    if (!action) return;
    open.value = false;
    // After the dialog gave the focus back.
    setTimeout(action.run);
  };
  const onKey = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    const count = found.value.length;
    if (step !== 0 && count > 0) at.value = (at.value + step + count) % count;
    else if (event.key === "Enter") run(found.value[at.value]);
    else return;
    event.preventDefault();
    document.getElementById(`palette-${at.value}`)?.scrollIntoView({ block: "nearest" });
  };
  return (
    <>
      <input
        ref={input}
        class="palette-input"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={found.value.length > 0 ? `palette-${at.value}` : undefined}
        aria-label={shell.searchHint}
        placeholder={shell.searchHint}
        value={typed.value}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
          at.value = 0;
        }}
        onKeyDown={onKey}
      />
      <ul class="palette-list" id="palette-list" role="listbox" aria-label={shell.results} tabIndex={-1}>
        {found.value.map((one, i) => (
          <li
            key={`${one.kind} ${one.name}`}
            id={`palette-${i}`}
            role="option"
            aria-selected={i === at.value}
            onClick={() => run(one)}
            onPointerMove={() => (at.value = i)}
          >
            <span>{one.name}</span>
            <span class="muted">{one.kind}</span>
          </li>
        ))}
      </ul>
      {found.value.length === 0 && <p class="muted palette-none">{shell.searchNone}</p>}
    </>
  );
}
