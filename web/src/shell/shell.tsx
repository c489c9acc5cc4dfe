/** What stands around every page: navigation, header, time range, live state, dialogs. */

import { useComputed } from "@preact/signals";

import { call } from "../data/api";
import { changes, connection, stale, system } from "../data/live";
import { usePolled } from "../data/poll";
import type { HealthAnswer } from "../data/types";
import { current } from "../pages";
import { Confirmation } from "../parts/confirm";
import { Icon } from "../parts/icon";
import { Pill, TONE_OF_HEALTH } from "../parts/status";
import { Toasts } from "../parts/toast";
import { href } from "../router";
import { shell } from "../text";
import { Help } from "./help";
import { LiveBadge } from "./live_badge";
import { Bar, Rail } from "./nav";
import { openPalette, Palette } from "./palette";
import { RangePicker } from "./range_picker";
import { SignInDialog } from "./sign_in";

export function Shell() {
  const health = usePolled((signal) => call("GET /api/v1/health", { signal }), 10_000, changes);
  const here = current.value;
  const node = system.value?.host.hostname ?? "";
  const lost = useComputed(() => connection.value === "waiting");
  const View = here?.page.view;
  return (
    <>
      <a class="skip" href="#main">
        {shell.skip}
      </a>
      <Rail />
      <header class="top">
        <div class="top-name">
          <span class="node" title={node}>
            {node || shell.product}
          </span>
          <HealthPill health={health.value.value} failed={health.error.value !== undefined} />
        </div>
        <button type="button" class="top-search" onClick={openPalette} title={shell.searchKey}>
          <Icon name="search" size={16} />
          <span>{shell.search}</span>
          <kbd>/</kbd>
        </button>
        <LiveBadge />
        {here?.page.timed && <RangePicker />}
      </header>
      <main id="main" tabIndex={-1} class={stale.value ? "stale" : undefined} aria-label={here?.page.title ?? shell.notFound}>
        {/* A page of its own for each path: nothing of one alert may stay when the next is shown. */}
        {View && here ? <View key={JSON.stringify(here.params)} health={health} params={here.params} /> : <NotFound />}
      </main>
      <Bar />
      <Help />
      <Palette />
      <Confirmation />
      <SignInDialog />
      <Toasts />
      <p class="visually-hidden" role="status">
        {lost.value ? shell.lost : ""}
      </p>
    </>
  );
}

function HealthPill({ health, failed }: { health: HealthAnswer | undefined; failed: boolean }) {
  if (failed) return <Pill tone="off">{shell.unknownHealth}</Pill>;
  if (!health) return null;
  return <Pill tone={TONE_OF_HEALTH[health.status]}>{health.status}</Pill>;
}

function NotFound() {
  return (
    <section class="card empty">
      <h1>{shell.noPage}</h1>
      <p>
        <a href={href("/")}>{shell.toOverview}</a>
      </p>
    </section>
  );
}
