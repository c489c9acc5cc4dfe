/**
 * Form fields. A field names the JSON pointer of what it fills in, so that a refusal of the
 * agent stands beside the field that it is about; [`FormProblem`] says the rest.
 */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

import type { Problem } from "../data/api";
import { parts } from "../text";
import type { Bound } from "./draft";

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  /** Where in the body this goes: `/expr`. Errors below it count as its own. */
  pointer?: string;
  problem?: Problem | undefined;
}

const below = (pointer: string, of: string) => pointer === of || pointer.startsWith(`${of}/`);

/** Where it was said and by whom is known here: only what is wrong counts. */
const cleaned = (detail: string) => detail.replace(/^run time, by \S+ at \S+: (?:key [^ ]+: )?/, "");

/** What the agent says about the place `pointer`. */
export function faultAt(problem: Problem | undefined, pointer: string | undefined): string {
  if (!problem || pointer === undefined) return "";
  return problem.errors
    .filter((error) => below(error.pointer, pointer))
    .map((error) => cleaned(error.detail))
    .join("; ");
}

interface Attributes {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": true | undefined;
}

export function Field({ label, hint, pointer, problem, children }: FieldProps & { children: (given: Attributes) => ComponentChildren }) {
  const id = useId();
  const fault = faultAt(problem, pointer);
  const described = fault !== "" || hint !== undefined;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": described ? `${id}-more` : undefined, "aria-invalid": fault === "" ? undefined : true })}
      {described && (
        <p id={`${id}-more`} class={fault === "" ? "hint" : "fault"} role={fault === "" ? undefined : "alert"}>
          {fault === "" ? hint : fault}
        </p>
      )}
    </div>
  );
}

interface TextProps extends FieldProps {
  value: Bound<string>;
  type?: "text" | "password" | "number" | "url" | "datetime-local";
  placeholder?: string;
  required?: boolean;
  disabled?: boolean;
  mono?: boolean;
  /** More than one: a field of so many lines. */
  rows?: number;
  /** Offered while typing. */
  options?: readonly string[];
  autocomplete?: string;
  /** Takes the focus when it appears. */
  focus?: boolean;
  onChange?: () => void;
}

export function TextField(props: TextProps) {
  const { value, rows = 1, focus, options } = props;
  const element = useRef<HTMLInputElement & HTMLTextAreaElement>(null);
  // While it is typed in, a field shows what was typed: "0." is on its way to a number.
  const typed = useSignal<string | undefined>(undefined);
  const list = useId();
  useEffect(() => {
    if (focus) element.current?.focus();
  }, []);
  return (
    <Field {...props}>
      {(given) => {
        const common = {
          ...given,
          ref: element,
          value: typed.value ?? value.value,
          class: props.mono ? "mono" : undefined,
          placeholder: props.placeholder,
          required: props.required,
          disabled: props.disabled,
          spellcheck: false,
          onInput: (event: { currentTarget: { value: string } }) => {
            typed.value = event.currentTarget.value;
            value.value = typed.value;
            props.onChange?.();
          },
          onBlur: () => (typed.value = undefined),
        };
        if (rows > 1) return <textarea {...common} rows={rows} />;
        // The element's type has one form per kind of input; they differ in their roles only.
        const type = (props.type ?? "text") as "text";
        return (
          <>
            <input {...common} type={type} step="any" list={options && list} autocomplete={props.autocomplete ?? "off"} />
            {options && (
              <datalist id={list}>
                {options.map((one) => (
                  <option key={one} value={one} />
                ))}
              </datalist>
            )}
          </>
        );
      }}
    </Field>
  );
}

interface SelectProps extends FieldProps {
  value: Bound<string>;
  options: readonly (readonly [value: string, words: string])[];
  disabled?: boolean;
  onChange?: () => void;
}

export function SelectField(props: SelectProps) {
  return (
    <Field {...props}>
      {(given) => (
        <select
          {...given}
          value={props.value.value}
          disabled={props.disabled}
          onChange={(event) => {
            props.value.value = event.currentTarget.value;
            props.onChange?.();
          }}
        >
          {props.options.map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface CheckProps {
  label: string;
  value: Bound<boolean>;
  hint?: string;
  disabled?: boolean;
  onChange?: () => void;
}

export function CheckField({ label, value, hint, disabled, onChange }: CheckProps) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={value.value}
        disabled={disabled}
        onChange={(event) => {
          value.value = event.currentTarget.checked;
          onChange?.();
        }}
      />
      <span>
        {label}
        {hint !== undefined && <span class="hint">{hint}</span>}
      </span>
    </label>
  );
}

/** What a refusal says that no field with one of these pointers shows. */
export function FormProblem({ problem, pointers = [] }: { problem: Problem | undefined; pointers?: readonly string[] }) {
  if (!problem) return null;
  const rest = problem.errors.filter((error) => !pointers.some((one) => below(error.pointer, one)));
  return (
    <div class="problem" role="alert">
      <p class="problem-title">{problem.title}</p>
      {problem.detail !== "" && <p>{problem.detail}</p>}
      {rest.map((error) => (
        <p key={error.pointer}>
          <code>{error.pointer}</code> {cleaned(error.detail)}
        </p>
      ))}
      {problem.hint !== "" && <p>{problem.hint}</p>}
      {problem.traceId !== "" && <p class="problem-foot">{parts.traceId(problem.traceId)}</p>}
    </div>
  );
}
