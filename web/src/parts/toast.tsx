/** Results of what was done: a good one goes by itself, a refusal stays until it is dismissed. */

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import type { Problem } from "../data/api";
import { parts } from "../text";
import { Icon } from "./icon";
import { Shape, type Tone } from "./status";

interface Toast {
  number: number;
  tone: Tone;
  text: string;
}

const SHOWN = 5000;
const MOST = 4;

const toasts = signal<readonly Toast[]>([]);
let last = 0;

function drop(number: number): void {
  toasts.value = toasts.value.filter((one) => one.number !== number);
}

export function toast(tone: Tone, text: string): void {
  last += 1;
  const number = last;
  toasts.value = [...toasts.value.slice(1 - MOST), { number, tone, text }];
  if (tone !== "bad") setTimeout(() => drop(number), SHOWN);
}

export function toastProblem(problem: Problem): void {
  toast("bad", [problem.message, problem.hint].filter((text) => text !== "").join(". "));
}

/** Stands once in the shell. A popover that opens anew with each toast, so that it lies above an open dialog. */
export function Toasts() {
  const element = useRef<HTMLDivElement>(null);
  const some = toasts.value.length > 0;
  useEffect(() => {
    element.current?.hidePopover();
    if (some) element.current?.showPopover();
  }, [toasts.value]);
  return (
    <div class="toasts" role="status" popover="manual" ref={element}>
      {toasts.value.map((one) => (
        <p key={one.number} class={`toast ${one.tone}`}>
          <Shape tone={one.tone} />
          <span>{one.text}</span>
          <button type="button" class="icon-button bare" aria-label={parts.dismiss} onClick={() => drop(one.number)}>
            <Icon name="close" size={14} />
          </button>
        </p>
      ))}
    </div>
  );
}
