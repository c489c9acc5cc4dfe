/**
 * What stands around every page: navigation, header, time range, live state.
 *
 * Navigation is made from the list of pages, so it cannot name one that does not exist.
 */

import { useComputed } from "@preact/signals";

import { changes, connection, stale, system } from "../data/live";
import { call } from "../data/api";
import { usePolled } from "../data/poll";
import type { HealthAnswer } from "../data/types";
import { PAGES } from "../pages";
import { Icon } from "../parts/icon";
import { Pill, TONE_OF_HEALTH } from "../parts/status";
import { href, path } from "../router";
import { Help } from "./help";
import { toggleHelp } from "./keyboard";
import { LiveBadge } from "./live_badge";
import { RangePicker } from "./range_picker";
import { nextTheme, theme } from "./theme";

const THEME_WORDS = { auto: "auto", light: "light", dark: "dark" } as const;

export function Shell() {
  const health = usePolled((signal) => call("GET /api/v1/health", { signal }), 10_000, changes);
  const page = PAGES.find((one) => one.path === path.value);
  const node = system.value?.host.hostname ?? "";
  const lost = useComputed(() => connection.value === "waiting");
  const View = page?.view;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <nav class="rail" aria-label="Pages">
        <span class="brand" aria-hidden="true">
          <svg width="28" height="28" viewBox="0 0 28 28">
            <path d="M5 4v20M23 4v20M5 14h18" />
            <path class="brand-line" d="M9 14h2l2-5 3 10 2-5h2" />
          </svg>
        </span>
        <ul>
          {PAGES.map((one) => (
            <li key={one.path}>
              <a href={href(one.path)} aria-current={one === page ? "page" : undefined}>
                <Icon name={one.icon} />
                <span>{one.title}</span>
              </a>
            </li>
          ))}
        </ul>
        <div class="rail-foot">
          <button type="button" onClick={nextTheme} title="Theme (t)" data-theme-choice={theme.value}>
            <Icon name={theme.value} />
            <span>
              <span class="visually-hidden">Theme: </span>
              {THEME_WORDS[theme.value]}
            </span>
          </button>
          <button type="button" onClick={toggleHelp} title="Keys and charts (?)">
            <Icon name="help" />
            <span>Help</span>
          </button>
        </div>
      </nav>
      <header class="top">
        <div class="top-name">
          <span class="node" title={node}>
            {node || "holdfast"}
          </span>
          <HealthPill health={health.value.value} failed={health.error.value !== undefined} />
        </div>
        <LiveBadge />
        <RangePicker />
      </header>
      <main id="main" tabIndex={-1} class={stale.value ? "stale" : undefined} aria-label={page?.title ?? "Not found"}>
        {View ? <View health={health} /> : <NotFound />}
      </main>
      <Help />
      <p class="visually-hidden" role="status">
        {lost.value ? "The connection to the agent is lost; the figures are old." : ""}
      </p>
    </>
  );
}

function HealthPill({ health, failed }: { health: HealthAnswer | undefined; failed: boolean }) {
  if (failed) return <Pill tone="off">unknown</Pill>;
  if (!health) return null;
  return <Pill tone={TONE_OF_HEALTH[health.status]}>{health.status}</Pill>;
}

function NotFound() {
  return (
    <section class="card empty">
      <h1>There is no page here</h1>
      <p>
        <a href={href("/")}>Go to the overview</a>
      </p>
    </section>
  );
}
