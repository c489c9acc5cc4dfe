/** The settings: what is in force with its origin, and the parts of it that deserve a form. */

import { useEffect } from "preact/hooks";

import { Loaded } from "../../parts/loaded";
import { Tabs } from "../../parts/tabs";
import { Warnings } from "../../parts/warnings";
import { filter } from "../../router";
import { settings as words } from "../../text";
import { About } from "./about";
import { useConfig } from "./apply";
import { Deeds } from "./deeds";
import { DriftTable } from "./drift";
import { QuietHours } from "./quiet_hours";
import { Retention } from "./retention";
import { Routes } from "./routes";
import { Values } from "./values";

export function SettingsPage() {
  const config = useConfig();
  const tab = filter("tab");
  useEffect(() => {
    // In a narrow window the row of tabs is longer than what is seen of it.
    document.querySelector("[role=tab][aria-selected=true]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [tab]);
  const shown = config.value.value?.shown;
  return (
    <div class="page">
      <div class="head-row">
        <h1>{words.title}</h1>
        <Deeds reload={config.retry} />
        <p class="lead muted">
          {words.lead} {shown && (shown.file ? words.file(shown.file) : words.noFile)}
        </p>
      </div>
      {shown && shown.problems.length > 0 && (
        <div class="problem" role="alert">
          <p class="problem-title">{words.stillOld}</p>
          {shown.problems.map((text) => (
            <p key={text}>{text}</p>
          ))}
        </div>
      )}
      <Warnings texts={shown?.warnings} />
      <Tabs
        label={words.title}
        tabs={[
          { id: "config", title: words.tabs.config, body: () => <Loaded resource={config} what={words.tabs.config}>{(one) => <Values config={config} held={one} />}</Loaded> },
          { id: "drift", title: words.tabs.drift, body: () => <DriftTable config={config} /> },
          { id: "retention", title: words.tabs.retention, body: () => <Loaded resource={config} what={words.tabs.retention}>{(one) => <Retention config={config} held={one} />}</Loaded> },
          { id: "quiet", title: words.tabs.quiet, body: () => <Loaded resource={config} what={words.tabs.quiet}>{(one) => <QuietHours config={config} held={one} />}</Loaded> },
          { id: "routes", title: words.tabs.routes, body: () => <Loaded resource={config} what={words.tabs.routes}>{(one) => <Routes config={config} held={one} />}</Loaded> },
          { id: "about", title: words.tabs.about, body: () => <About /> },
        ]}
      />
    </div>
  );
}
