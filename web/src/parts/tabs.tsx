/** Tabs whose choice the URL keeps. Arrow keys move among them. */

import type { ComponentChildren } from "preact";

import { filter, setFilters } from "../router";

export interface Tab {
  id: string;
  title: string;
  count?: number | undefined;
  body: () => ComponentChildren;
}

export function Tabs({ tabs, label, name = "tab" }: { tabs: readonly Tab[]; label: string; name?: string }) {
  const wanted = filter(name);
  const at = Math.max(0, tabs.findIndex((tab) => tab.id === wanted));
  const shown = tabs[at];
  // The first one is where the page stands without saying so.
  const show = (place: number) => setFilters({ [name]: place === 0 ? "" : (tabs[place]?.id ?? "") });
  const onKey = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const next = (at + step + tabs.length) % tabs.length;
    show(next);
    document.getElementById(`${name}-${tabs[next]?.id}`)?.focus();
  };
  return (
    <div class="tabbed">
      <div class="tabs" role="tablist" aria-label={label} onKeyDown={onKey}>
        {tabs.map((tab, i) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`${name}-${tab.id}`}
            aria-selected={i === at}
            aria-controls={i === at ? `${name}-body` : undefined}
            tabIndex={i === at ? 0 : -1}
            onClick={() => show(i)}
          >
            {tab.title}
            {tab.count !== undefined && <span class="tab-count">{tab.count}</span>}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${name}-body`} aria-labelledby={`${name}-${shown?.id}`} class="tab-body">
        {shown?.body()}
      </div>
    </div>
  );
}
