/**
 * The pages of an agent that has just begun, and what stands around every page: keys,
 * time range, live connection, menu, palette, themes.
 */

import assert from "node:assert/strict";
import { join } from "node:path";

import { liveWords, textChanges } from "./checks.mjs";
import { looks, NARROW } from "./looks.mjs";

const PAGES = [
  { name: "overview", path: "/ui/", ready: "[data-trend=cpu]", moving: "[data-tile=Host] dl" },
  { name: "host", path: "/ui/host?from=now-5m&to=now", ready: "[data-chart=cpu] canvas", moving: "[data-chart=cpu] .legend" },
  { name: "alerts", path: "/ui/alerts", ready: "main .card" },
  { name: "rules", path: "/ui/rules", ready: "[data-key=high_cpu]" },
  { name: "rule", path: "/ui/rules/high_cpu", ready: "[data-chart=course]" },
  { name: "new-rule", path: "/ui/rules/+new", ready: "main textarea" },
  { name: "silences", path: "/ui/silences", ready: "main .card" },
  { name: "channels", path: "/ui/channels", ready: "main [role=tabpanel] .card" },
  { name: "deliveries", path: "/ui/channels?tab=deliveries", ready: "main [role=tabpanel] .card" },
  { name: "storage", path: "/ui/storage", ready: "[data-chart] canvas" },
  { name: "targets", path: "/ui/targets", ready: "main .empty" },
  { name: "new-target", path: "/ui/targets/+new", ready: "main textarea" },
  { name: "failover", path: "/ui/failover", ready: "main .empty" },
  { name: "new-group", path: "/ui/failover/+new", ready: "main textarea" },
  { name: "tasks", path: "/ui/tasks", ready: "main .empty" },
  { name: "jobs", path: "/ui/tasks?tab=jobs", ready: "main .empty" },
  { name: "new-check", path: "/ui/tasks/+new", ready: "main textarea" },
  { name: "events", path: "/ui/events", ready: "[data-tail=open]" },
  { name: "login", path: "/ui/login", ready: "main form" },
];
const [overview, host] = PAGES;

export async function shell(ctx) {
  const { base, check, axe, shots } = ctx;
  const open = async (page, { path, ready }) => {
    await page.goto(base + path);
    await page.waitForSelector(ready);
    await liveWords(page, /^live$/);
  };
  const search = (page) => new URL(page.url()).searchParams;

  await looks(ctx, PAGES);

  for (const target of PAGES.filter((one) => one.moving)) {
    await check(`${target.name}: values move`, {}, async (page) => {
      await open(page, target);
      await textChanges(page, target.moving);
      await textChanges(page, target.moving);
    });
  }

  await check("keys: help, theme, live", {}, async (page) => {
    await open(page, overview);
    await page.keyboard.press("?");
    await page.waitForSelector("#help[open]");
    await axe(page);
    await page.keyboard.press("?");
    await page.waitForSelector("#help:not([open])", { state: "attached" });

    const choice = () => page.getAttribute("[data-theme-choice]", "data-theme-choice");
    assert.equal(await choice(), "auto");
    await page.keyboard.press("t");
    await page.waitForSelector("html[data-theme=light]");
    await page.keyboard.press("t");
    await page.waitForSelector("html[data-theme=dark]");
    await page.reload();
    await page.waitForSelector("html[data-theme=dark]");
    await page.waitForSelector(overview.ready);

    await page.keyboard.press("l");
    await liveWords(page, /^fixed range$/);
    assert.match(search(page).get("from") ?? "", /^\d{4}-/);
    await page.keyboard.press("l");
    await liveWords(page, /^live$/);
    assert.equal(search(page).get("from"), null);
  });

  await check("skip link, focus that can be seen", {}, async (page) => {
    await open(page, overview);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement?.className), "skip");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement?.id === "main");
    await page.goto(base + overview.path);
    await page.waitForSelector(overview.ready);
    for (let i = 0; i < 12; i += 1) {
      await page.keyboard.press("Tab");
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement ?? document.body).outlineStyle);
      assert.notEqual(outline, "none", `stop ${i} of the tab key shows no focus`);
    }
  });

  await check("range: presets, links, drag zooms all, double click resets", {}, async (page) => {
    await open(page, host);
    await page.getByRole("button", { name: "1h", exact: true }).click();
    await page.waitForURL(/from=now-1h/);
    await page.getByRole("link", { name: "Overview" }).click();
    await page.waitForSelector(overview.ready);
    assert.equal(search(page).get("from"), "now-1h", "the range rides along");
    await page.goBack();
    await page.waitForSelector(host.ready);

    const plot = await page.locator("[data-chart=cpu] .plot-over").boundingBox();
    assert.ok(plot);
    const y = plot.y + plot.height / 2;
    // The newest quarter, to its very end: a young agent has no samples elsewhere.
    await page.mouse.move(plot.x + plot.width * 0.74, y);
    await page.mouse.down();
    await page.mouse.move(plot.x + plot.width - 1, y, { steps: 5 });
    await page.waitForFunction(() => document.querySelector("[data-chart=memory] .chart-at")?.textContent !== "");
    await page.mouse.up();
    await page.waitForURL(/from=\d{4}-/);
    const width = Date.parse(search(page).get("to") ?? "") - Date.parse(search(page).get("from") ?? "");
    assert.ok(Math.abs(width - 936_000) < 90_000, `a quarter of an hour was marked, got ${width} ms`);
    await liveWords(page, /^fixed range$/);
    await page.waitForSelector(host.ready);
    await page.dblclick("[data-chart=cpu] .plot-over");
    await page.waitForURL(/from=now-1h/);
  });

  await check("range: a custom one, and one that makes no sense", {}, async (page) => {
    await open(page, host);
    await page.getByRole("button", { name: "Custom" }).click();
    const dialog = page.getByRole("dialog");
    await axe(page);
    await dialog.getByLabel("From").fill("tomorrow");
    await dialog.getByRole("button", { name: "Show" }).click();
    await dialog.getByRole("alert").waitFor();
    await dialog.getByLabel("From").fill("now-45m");
    await dialog.getByLabel("To").fill("now");
    await dialog.getByRole("button", { name: "Show" }).click();
    await page.waitForURL(/from=now-45m/);
  });

  await check("connection: cut, shown as old, resumed by number", {}, async (page, seen) => {
    seen.allow(/WebSocket/);
    const sockets = [];
    let refuse = false;
    await page.routeWebSocket(/\/api\/v1\/monitoring\/events/, (socket) => {
      sockets.push(socket);
      if (refuse) void socket.close();
      else socket.connectToServer();
    });
    await open(page, overview);
    await textChanges(page, overview.moving);
    refuse = true;
    await sockets[0].close();
    await liveWords(page, /^disconnected \d+ s, retrying$/);
    await page.waitForSelector("main.stale");
    if (shots) await page.screenshot({ path: join(shots, "disconnected.png") });
    refuse = false;
    await liveWords(page, /^live$/);
    await page.waitForSelector("main:not(.stale)");
    assert.match(new URL(sockets.at(-1).url()).searchParams.get("since") ?? "", /^[1-9]\d*$/);
  });

  await check("hidden: the socket closes, and opens when shown again", {}, async (page) => {
    const socket = page.waitForEvent("websocket");
    await open(page, overview);
    const closed = (await socket).waitForEvent("close");
    const turn = (state) =>
      page.evaluate((value) => {
        Object.defineProperty(document, "visibilityState", { configurable: true, get: () => value });
        document.dispatchEvent(new Event("visibilitychange"));
      }, state);
    await turn("hidden");
    await closed;
    const again = page.waitForEvent("websocket");
    await turn("visible");
    await again;
    await liveWords(page, /^live$/);
  });

  await check("errors: title, detail, trace id, try again", {}, async (page, seen) => {
    seen.allow(/status of 503/);
    const body = { type: "about:blank", title: "Store unavailable", status: 503, detail: "opening again", trace_id: "f00d" };
    await page.route("**/api/v1/query_range*", (route) =>
      route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify(body) }),
    );
    await page.goto(`${base}${host.path}`);
    const alert = page.getByRole("alert").first();
    await alert.waitFor();
    for (const text of ["Store unavailable", "opening again", "f00d"]) assert.ok((await alert.textContent())?.includes(text), text);
    await axe(page);
    await page.unroute("**/api/v1/query_range*");
    await alert.getByRole("button", { name: "Try again" }).click();
    await page.waitForSelector(host.ready);
  });

  await check("menu of a narrow window", { viewport: NARROW }, async (page) => {
    await open(page, overview);
    await page.getByRole("button", { name: "Menu" }).click();
    await page.getByRole("dialog").getByRole("link", { name: "Channels" }).waitFor();
    await axe(page);
    await page.getByRole("dialog").getByRole("link", { name: "Channels" }).click();
    await page.waitForURL(/\/ui\/channels$/);
    assert.equal(await page.getByRole("dialog").count(), 0, "a chosen page closes the menu");
  });

  await check("palette: by key, by name, by arrow", {}, async (page) => {
    await open(page, overview);
    await page.keyboard.press("/");
    await page.getByRole("combobox").waitFor();
    await axe(page);
    await page.keyboard.type("sil");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/ui\/silences$/);
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox").fill("e");
    const first = await page.getByRole("option").first().textContent();
    await page.keyboard.press("ArrowDown");
    assert.notEqual(await page.locator("[role=option][aria-selected=true]").textContent(), first);
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.querySelector("dialog[open]") === null);
  });

  await check("high contrast is kept", {}, async (page) => {
    await open(page, overview);
    await page.keyboard.press("Control+k");
    await page.keyboard.type("contrast");
    await page.keyboard.press("Enter");
    await page.waitForSelector("html[data-contrast=more]");
    await page.reload();
    await page.waitForSelector("html[data-contrast=more]");
    await page.waitForSelector(overview.ready);
    await axe(page);
  });

  await check("a path without a page says so", {}, async (page) => {
    await page.goto(`${base}/ui/nowhere`);
    await page.getByRole("link", { name: "Go to the overview" }).click();
    await page.waitForSelector(overview.ready);
  });
}
