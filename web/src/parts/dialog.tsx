/**
 * A modal dialog that a signal opens. Its content exists only while it is open, so a form
 * in it begins empty each time; closing gives the focus back to where it was.
 */

import { useSignalEffect, type ReadonlySignal, type Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";

import { parts } from "../text";
import { Icon } from "./icon";

interface Common {
  title: string;
  children: ComponentChildren;
  id?: string;
  /** A wide form, a sheet from below, or the palette near the top. */
  kind?: "wide" | "sheet" | "palette";
}

type Props = Common & ({ open: Signal<boolean>; onClose?: () => void } | { open: ReadonlySignal<boolean>; onClose: () => void });

let numbers = 0;

export function Dialog({ open, onClose, title, children, id, kind }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  const number = useRef(0);
  number.current ||= ++numbers;
  useSignalEffect(() => {
    const dialog = element.current;
    if (!dialog || dialog.open === open.value) return;
    if (open.value) dialog.showModal();
    else dialog.close();
  });
  const closed = () => {
    if (!open.peek()) return;
    if (onClose) onClose();
    else (open as Signal<boolean>).value = false;
  };
  const name = `dialog-${number.current}`;
  return (
    <dialog ref={element} id={id} class={`dialog ${kind ?? ""}`} aria-labelledby={name} onClose={closed}>
      {open.value && (
        <>
          <div class="dialog-head">
            <h2 id={name}>{title}</h2>
            <button type="button" class="icon-button bare" aria-label={parts.close} onClick={closed}>
              <Icon name="close" size={16} />
            </button>
          </div>
          {children}
        </>
      )}
    </dialog>
  );
}
