/**
 * Asks before something that cannot be undone; what is dangerous wants its word typed.
 *
 *     if (await confirm({ title, text, action, word: group.name })) ...
 */

import { signal, useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";

import { parts } from "../text";
import { Dialog } from "./dialog";
import { TextField } from "./form";

export interface Question {
  title: string;
  text: ComponentChildren;
  /** What the button says: the deed itself, never "ok". */
  action: string;
  /** Must be typed exactly before the button works. */
  word?: string;
}

const asked = signal<(Question & { answer: (yes: boolean) => void }) | undefined>(undefined);

export function confirm(question: Question): Promise<boolean> {
  asked.peek()?.answer(false);
  return new Promise((resolve) => {
    asked.value = {
      ...question,
      answer: (yes) => {
        asked.value = undefined;
        resolve(yes);
      },
    };
  });
}

/** Stands once in the shell. */
export function Confirmation() {
  const open = useComputed(() => asked.value !== undefined);
  const question = asked.value;
  return (
    <Dialog open={open} onClose={() => asked.peek()?.answer(false)} title={question?.title ?? ""}>
      {question && <Body question={question} answer={question.answer} />}
    </Dialog>
  );
}

function Body({ question, answer }: { question: Question; answer: (yes: boolean) => void }) {
  const typed = useSignal("");
  const { word } = question;
  const ready = word === undefined || typed.value === word;
  return (
    <form
      class="form"
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) answer(true);
      }}
    >
      <div>{question.text}</div>
      {word !== undefined && <TextField label={parts.typeWord(word)} value={typed} mono focus autocomplete="off" />}
      <p class="dialog-foot">
        <button type="button" class="button" onClick={() => answer(false)}>
          {parts.cancel}
        </button>
        <button type="submit" class="button danger" disabled={!ready}>
          {question.action}
        </button>
      </p>
    </form>
  );
}
