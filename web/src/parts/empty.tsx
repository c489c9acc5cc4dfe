/** What stands where nothing is: why, and what to do next. */

import type { ComponentChildren } from "preact";

import { Command } from "./command";

interface Props {
  title: string;
  text: string;
  /** Lines to copy, with what they are. */
  command?: { text: string; label: string };
  children?: ComponentChildren;
}

export function Empty({ title, text, command, children }: Props) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      <p>{text}</p>
      {command && <Command {...command} />}
      {children}
    </div>
  );
}
