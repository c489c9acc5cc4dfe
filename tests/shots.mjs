/**
 * Makes the screenshots of docs/shots: every page, at 1280 and 360 px, light and dark, of an
 * agent with something to tell.
 *
 *     node tests/shots.mjs BINARY [DIRECTORY [PAGE ...]]
 *
 * A real Postgres pair whose primary was killed once, checks that ran and one that did not,
 * alerts, a rule and a channel of one's own, a silence, a backup; all of it made by the API
 * of an agent that this starts and ends. DIRECTORY is docs/shots without one. The pictures
 * are WebP, made by the browser itself.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

import { textChanges } from "./browser/checks.mjs";
import { everyLook, NARROW } from "./browser/looks.mjs";
import { freePort, pair } from "./browser/postgres.mjs";
import { Agent } from "./browser/process.mjs";

const require = createRequire(new URL("../web/package.json", import.meta.url));
const { chromium } = require("playwright-core");

const [binary, folder = new URL("../docs/shots", import.meta.url).pathname, ...chosen] = process.argv.slice(2);
if (!binary) {
  console.error("usage: shots.mjs BINARY [DIRECTORY [PAGE ...]]");
  process.exit(2);
}
for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => process.exit(1));

/** Of the pictures; text stays sharp. */
const QUALITY = 34;
/** Long lists are cut off here, px. */
const HIGHEST = 1700;
/** The range that the charts show: the agent is minutes old. */
const SPAN = "from=now-2m&to=now";
const DEADLINE = 60_000;

const PAGES = [
  ["overview", `/ui/?${SPAN}`, "[data-trend=cpu]"],
  ["host", `/ui/host?${SPAN}`, "[data-chart=cpu] canvas"],
  ["storage", `/ui/storage?${SPAN}`, "[data-chart] canvas"],
  ["targets", "/ui/targets", "[data-key=pg1]"],
  ["target", `/ui/targets/pg1?${SPAN}`, "[data-chart=operations] canvas"],
  ["target-checks", "/ui/targets/pg1?tab=history", "main .table"],
  ["target-new", "/ui/targets/+new", "main textarea"],
  ["failover", "/ui/failover", ".topology"],
  ["group", `/ui/failover/main?${SPAN}`, "[data-part=journal] li"],
  ["tasks", "/ui/tasks", "[data-key=nightly_backup]"],
  ["check", "/ui/tasks/nightly_backup", "main .table"],
  ["events", "/ui/events", ".tail li"],
  ["alerts", "/ui/alerts?state=all", "main .list tbody tr"],
  ["alert", "ALERT", "[data-chart=trigger] canvas"],
  ["rules", "/ui/rules", "[data-key=high_cpu]"],
  ["rule", "/ui/rules/busy_host", "[data-chart=course] canvas"],
  ["silences", "/ui/silences", "main .list"],
  ["channels", "/ui/channels", "[data-key=team]"],
  ["deliveries", "/ui/channels?tab=deliveries", "main .list"],
  ["explore", `/ui/explore?e1=${encodeURIComponent("sum by (mode) (rate(node_cpu_seconds_total[1m]))")}&e2=node_load1&${SPAN}`, "[data-chart=explore-B] canvas"],
  ["backups", "/ui/maintain", "main .list"],
  ["store", "/ui/maintain?tab=store", "main .list"],
  ["audit", "/ui/maintain?tab=audit", "main .list"],
  ["settings", "/ui/settings", "[data-key=listen]"],
  ["drift", "/ui/settings?tab=drift", "main [role=tabpanel] .card"],
  ["retention", "/ui/settings?tab=retention", "main [role=tabpanel] .facts"],
  ["quiet-hours", "/ui/settings?tab=quiet", "main form"],
  ["routes", "/ui/settings?tab=routes", "main [role=tabpanel] .card"],
  ["about", "/ui/settings?tab=about", "[data-key=sampler]"],
  ["access", "/ui/settings/access", "main .list"],
  ["users", "/ui/settings/access?tab=users", "main .list"],
  ["api", "/ui/api?op=GET%20/api/v1/health", ".explorer h2 code"],
  ["help", "/ui/help/failover", "article h3"],
  ["login", "/ui/login", "main form"],
];

/** Waits until `holds` answers something, asking again and again. */
async function until(what, holds) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const found = await holds();
    if (found) return found;
    if (Date.now() > end) throw new Error(`still not: ${what}`);
    await new Promise((done) => setTimeout(done, 200));
  }
}

async function receiver() {
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => response.end("heard"));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${server.address().port}/hook`, close: () => server.close() };
}

/** Fills the agent; answers with the page of an alert that fired by a rule. */
async function fill({ base, token }, { primary, standby }, hook) {
  const send = async (method, path, body, headers = {}) => {
    const sent = { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers };
    const response = await fetch(base + path, { method, headers: sent, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.status === 204 ? undefined : response.json();
  };
  const get = (path) => send("GET", path);
  const active = (name) => until(`${name} is active`, async () => (await get("/api/v1/failover/groups/main")).active === name);

  await send("POST", "/api/v1/monitoring/channels", { kind: "webhook", name: "team", url: hook });
  for (const [name, server] of [["pg1", primary], ["pg2", standby]]) {
    await send("POST", "/api/v1/targets", { kind: "postgres", name, host: "127.0.0.1", port: server.port, user: "holdfast", tls: "disable", interval: "1s", timeout: "1s" });
  }
  await send("POST", "/api/v1/targets", { kind: "http", name: "intranet", url: `${base}/livez`, interval: "2s", timeout: "1s" });
  await send("POST", "/api/v1/targets", { kind: "tcp", name: "mail", address: `127.0.0.1:${await freePort()}`, interval: "2s", timeout: "1s" });
  await send("POST", "/api/v1/failover/groups", { name: "main", members: ["pg1", "pg2"], listen: `127.0.0.1:${await freePort()}` });
  await active("pg1");
  await until("pg2 could take over", async () => (await get("/api/v1/failover/groups/main")).would_promote === "pg2");

  await send("POST", "/api/v1/monitoring/rules", { name: "busy_host", expr: "node_load1", levels: { medium: 0.01 }, title: "The host is busy" });
  const check = await send("POST", "/api/v1/checks", { name: "nightly_backup", period: "1d", grace: "1h" });
  await send("POST", "/api/v1/checks", { name: "cert_renewal", period: "7d", grace: "1d" });
  const scrub = await send("POST", "/api/v1/checks", { name: "pool_scrub", period: "30d", grace: "2d" });
  const ping = (one, rest = "", body = "") => fetch(`${base}${one.ping_url}${rest}`, { method: "POST", body });
  for (const said of ["dumped 3 databases, 1.2 GB", "dumped 3 databases, 1.3 GB"]) {
    await ping(check, "/start");
    await ping(check, "", said);
  }
  await ping(scrub, "/fail", "pool tank: 2 errors found and not repaired");
  await send("POST", "/api/v1/monitoring/alerts", { severity: "high", source: "ups", title: "The house runs on battery", message: "load 23 %, 41 min left" });
  await send("POST", "/api/v1/monitoring/alerts", { severity: "low", source: "updates", title: "12 updates wait to be installed" });
  await send("POST", "/api/v1/monitoring/silences", { matchers: ['source="updates"'], duration: "8h", comment: "until the window on Sunday" });
  await send("POST", "/api/v1/tokens", { name: "dashboard", scopes: ["monitoring:read"] });
  await send("POST", "/api/v1/tokens", { name: "ansible", scopes: ["monitoring:read", "config:write"] });
  await send("POST", "/api/v1/users", { name: "eva", password: "not a real password", role: "operator" });
  await send("POST", "/api/v1/users", { name: "jonas", password: "not a real password", role: "viewer" });
  const { headers } = await fetch(`${base}/api/v1/config`, { headers: { authorization: `Bearer ${token}` } });
  await send("PATCH", "/api/v1/config", { alerting: { start_grace: "90s" } }, { "content-type": "application/merge-patch+json", "if-match": headers.get("etag") });
  await send("POST", "/api/v1/backups", {});

  await primary.kill();
  await active("pg2");
  await primary.start();
  await until("pg1 is fenced", async () => (await get("/api/v1/failover/groups/main")).members.some((one) => one.name === "pg1" && one.state === "fenced"));
  await primary.rejoin(standby);
  await until("pg1 follows", async () => (await get("/api/v1/failover/groups/main")).would_promote === "pg1");
  const { alerts } = await until("the rule fired", async () => {
    const answer = await get("/api/v1/monitoring/alerts?q=busy_host");
    return answer.alerts.length > 0 && answer;
  });
  // A minute of what came after it, for the charts.
  await new Promise((done) => setTimeout(done, 60_000));
  return `/ui/alerts/${alerts[0].id}`;
}

/** Takes the picture as the browser encodes it. */
async function picture(page) {
  const session = await page.context().newCDPSession(page);
  const { width, height } = page.viewportSize();
  const clip = { x: 0, y: 0, width, height: Math.min(height, HIGHEST), scale: 1 };
  const { data } = await session.send("Page.captureScreenshot", { format: "webp", quality: QUALITY, clip });
  await session.detach();
  return Buffer.from(data, "base64");
}

mkdirSync(folder, { recursive: true });
const agent = await Agent.start(resolve(binary));
const hook = await receiver();
const servers = await pair("pg1", "pg2");
const browser = await chromium.launch({ executablePath: process.env.HOLDFAST_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--headless", "--disable-gpu"] });
let bytes = 0;
try {
  const alert = await fill(agent, servers, hook.url);
  const context = await browser.newContext({ viewport: NARROW, colorScheme: "light" });
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE);
  await page.goto(`${agent.base}/ui/login`);
  await page.getByLabel("Token").fill(agent.token);
  await page.locator("main").getByRole("button", { name: "Sign in", exact: true }).click();
  await page.waitForURL(/\/ui\/$/);
  for (const [name, path, ready] of PAGES) {
    if (chosen.length > 0 && !chosen.includes(name)) continue;
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize(NARROW);
    await page.goto(agent.base + (path === "ALERT" ? alert : path));
    await page.locator(ready).first().waitFor();
    // Figures that come with the live connection are there then, too.
    await page.waitForSelector('[data-live="live"], [data-live="fixed range"]');
    if (name === "overview") for (let i = 0; i < 2; i += 1) await textChanges(page, "[data-tile=Host] dl");
    await everyLook(page, async (look) => {
      const image = await picture(page);
      bytes += image.length;
      writeFileSync(join(folder, `${name}-${look}.webp`), image);
    });
    console.log(`${name}`);
  }
} finally {
  await browser.close();
  await servers.stop();
  hook.close();
  await agent.stop();
}
console.log(`${(bytes / 1024 / 1024).toFixed(1)} MB in ${folder}`);
