/** The pages that exist: path below `/ui`, title, icon and view. Navigation and routing read this list. */

import type { ComponentType } from "preact";

import type { Resource } from "../data/poll";
import type { HealthAnswer } from "../data/types";
import type { IconName } from "../parts/icon";
import { HostPage } from "./host/page";
import { OverviewPage } from "./overview/page";

export interface PageProps {
  health: Resource<HealthAnswer>;
}

export interface Page {
  path: string;
  title: string;
  icon: IconName;
  view: ComponentType<PageProps>;
}

export const PAGES: readonly Page[] = [
  { path: "/", title: "Overview", icon: "overview", view: OverviewPage },
  { path: "/host", title: "Host", icon: "host", view: HostPage },
];
