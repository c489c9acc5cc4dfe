/** A row of filters that the URL keeps: a link shows what its sender saw. */

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { filter, setFilters } from "../router";
import { parts } from "../text";

/** A search waits this long for the next key, ms. */
const SETTLE = 200;

export function FilterBar({ names, children }: { names: readonly string[]; children: ComponentChildren }) {
  const set = names.some((name) => filter(name) !== "");
  const reset = () => setFilters(Object.fromEntries([...names, "offset"].map((name) => [name, ""])));
  return (
    <div class="filters" role="search">
      {children}
      {set && (
        <button type="button" class="button plain" onClick={reset}>
          {parts.reset}
        </button>
      )}
    </div>
  );
}

export function SearchFilter({ name, label = parts.search }: { name: string; label?: string }) {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const element = useRef<HTMLInputElement>(null);
  const value = filter(name);
  useEffect(() => {
    // What was typed is newer than the URL until it settles.
    if (element.current && document.activeElement !== element.current) element.current.value = value;
  }, [value]);
  return (
    <input
      ref={element}
      type="search"
      class="filter-search"
      aria-label={label}
      placeholder={label}
      onInput={(event) => {
        const typed = event.currentTarget.value;
        clearTimeout(timer.current);
        timer.current = setTimeout(() => setFilters({ [name]: typed.trim(), offset: "" }), SETTLE);
      }}
    />
  );
}

interface ChoiceProps {
  name: string;
  label: string;
  options: readonly (readonly [value: string, words: string])[];
  /** What no choice means. */
  none?: string;
}

export function ChoiceFilter({ name, label, options, none = parts.all }: ChoiceProps) {
  return (
    <label class="filter-choice">
      <span>{label}</span>
      <select value={filter(name)} onChange={(event) => setFilters({ [name]: event.currentTarget.value, offset: "" })}>
        <option value="">{none}</option>
        {options.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}
