/**
 * Every word that the page shows, by section. A translation is a second folder beside
 * `en` with the same shapes; pages import from here and hold no words of their own.
 */

export * from "./en/access";
export * from "./en/alerts";
export * from "./en/api_page";
export * from "./en/channels";
export * from "./en/data";
export * from "./en/events";
export * from "./en/failover";
export * from "./en/help_pages";
export * from "./en/maintain";
export * from "./en/overview";
export * from "./en/explore";
export * from "./en/parts";
export * from "./en/rules";
export * from "./en/settings";
export * from "./en/shell";
export * from "./en/storage";
export * from "./en/targets";
export * from "./en/tasks";
