/**
 * The pages that exist. Navigation, routing, palette and window title read this list, so
 * none of them can name a page that does not exist. A page without `nav` is reached from
 * another one; `/alerts/:id` hands `id` to its view.
 *
 * What a visit mostly begins with is in the first script; the rest comes when it is opened.
 */

import { computed } from "@preact/signals";
import type { ComponentType } from "preact";

import type { Resource } from "../data/poll";
import type { HealthAnswer } from "../data/types";
import type { IconName } from "../parts/icon";
import { later } from "../parts/later";
import { match, path } from "../router";
import { shell } from "../text";
import { AlertsPage } from "./alerts/page";
import { OverviewPage } from "./overview/page";
import { LoginPage } from "../shell/sign_in";

export interface PageProps {
  health: Resource<HealthAnswer>;
  /** Parameters of the path, decoded. */
  params: Record<string, string>;
}

export type Group = keyof typeof shell.groups;

export interface Page {
  path: string;
  title: string;
  view: ComponentType<PageProps>;
  nav?: { group: Group; icon: IconName; /** Stands in the bar of a narrow window. */ bar?: boolean };
  /** It shows a course of time, so the range can be chosen. */
  timed?: boolean;
}

const titles = shell.titles;

const AlertPage = later<PageProps>(() => import("./alert/page").then((page) => page.AlertPage));
const ChannelsPage = later<PageProps>(() => import("./channels/page").then((page) => page.ChannelsPage));
const HostPage = later<PageProps>(() => import("./host/page").then((page) => page.HostPage));
const RulesPage = later<PageProps>(() => import("./rules/page").then((page) => page.RulesPage));
const RulePage = later<PageProps>(() => import("./rules/rule").then((page) => page.RulePage));
const SilencesPage = later<PageProps>(() => import("./silences/page").then((page) => page.SilencesPage));
const EventsPage = later<PageProps>(() => import("./events/page").then((page) => page.EventsPage));
const GroupPage = later<PageProps>(() => import("./failover/group").then((page) => page.GroupPage));
const FailoverPage = later<PageProps>(() => import("./failover/page").then((page) => page.FailoverPage));
const StoragePage = later<PageProps>(() => import("./storage/page").then((page) => page.StoragePage));
const TargetsPage = later<PageProps>(() => import("./targets/page").then((page) => page.TargetsPage));
const TargetPage = later<PageProps>(() => import("./targets/target").then((page) => page.TargetPage));
const CheckPage = later<PageProps>(() => import("./tasks/check").then((page) => page.CheckPage));
const TasksPage = later<PageProps>(() => import("./tasks/page").then((page) => page.TasksPage));
const ExplorePage = later<PageProps>(() => import("./explore/page").then((page) => page.ExplorePage));
const SettingsPage = later<PageProps>(() => import("./settings/page").then((page) => page.SettingsPage));
const ApiPage = later<PageProps>(() => import("./apidoc/page").then((page) => page.ApiPage));
const HelpPage = later<PageProps>(() => import("./help/page").then((page) => page.HelpPage));
const AccessPage = later<PageProps>(() => import("./access/page").then((page) => page.AccessPage));
const MaintainPage = later<PageProps>(() => import("./maintain/page").then((page) => page.MaintainPage));

export const PAGES: readonly Page[] = [
  { path: "/", title: titles.overview, view: OverviewPage, timed: true, nav: { group: "now", icon: "overview", bar: true } },
  { path: "/host", title: titles.host, view: HostPage, timed: true, nav: { group: "now", icon: "host", bar: true } },
  { path: "/storage", title: titles.storage, view: StoragePage, timed: true, nav: { group: "now", icon: "storage" } },
  { path: "/targets", title: titles.targets, view: TargetsPage, nav: { group: "now", icon: "targets" } },
  { path: "/targets/:name", title: titles.target, view: TargetPage, timed: true },
  { path: "/failover", title: titles.failover, view: FailoverPage, nav: { group: "now", icon: "failover" } },
  { path: "/failover/:name", title: titles.group, view: GroupPage, timed: true },
  { path: "/tasks", title: titles.tasks, view: TasksPage, nav: { group: "now", icon: "tasks" } },
  { path: "/tasks/:name", title: titles.check, view: CheckPage },
  { path: "/events", title: titles.events, view: EventsPage, nav: { group: "look", icon: "events" } },
  { path: "/alerts", title: titles.alerts, view: AlertsPage, nav: { group: "alerts", icon: "alert", bar: true } },
  { path: "/alerts/:id", title: titles.alert, view: AlertPage },
  { path: "/rules", title: titles.rules, view: RulesPage, nav: { group: "alerts", icon: "rules" } },
  { path: "/rules/:name", title: titles.rule, view: RulePage },
  { path: "/silences", title: titles.silences, view: SilencesPage, nav: { group: "alerts", icon: "silence" } },
  { path: "/channels", title: titles.channels, view: ChannelsPage, nav: { group: "alerts", icon: "channels" } },
  { path: "/explore", title: titles.explore, view: ExplorePage, timed: true, nav: { group: "look", icon: "explore" } },
  { path: "/maintain", title: titles.maintain, view: MaintainPage, nav: { group: "agent", icon: "maintain" } },
  { path: "/settings", title: titles.settings, view: SettingsPage, nav: { group: "agent", icon: "settings" } },
  { path: "/settings/access", title: titles.access, view: AccessPage, nav: { group: "agent", icon: "access" } },
  { path: "/api", title: titles.api, view: ApiPage, nav: { group: "agent", icon: "api" } },
  { path: "/help", title: titles.help, view: HelpPage, nav: { group: "agent", icon: "book" } },
  { path: "/help/:doc", title: titles.help, view: HelpPage },
  { path: "/login", title: titles.login, view: LoginPage },
];

/** The pages of the navigation, group by group, in the order of the list. */
export const GROUPS = (Object.keys(shell.groups) as Group[])
  .map((group) => ({ group, pages: PAGES.filter((page) => page.nav?.group === group) }))
  .filter(({ pages }) => pages.length > 0);

/** The page that the URL names, and what it says in its path. */
export const current = computed(() => {
  for (const page of PAGES) {
    const params = match(page.path, path.value);
    if (params) return { page, params };
  }
  return undefined;
});

/** Whether a page of the navigation is the present one or, where that has no place there, above it. */
export function leadsTo(page: Page): boolean {
  if (page.path === path.value) return true;
  const own = PAGES.some((other) => other.nav && other.path === path.value);
  return !own && page.path !== "/" && path.value.startsWith(`${page.path}/`);
}
