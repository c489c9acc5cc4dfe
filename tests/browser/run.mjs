/**
 * Drives the page of the real agent in a real headless browser.
 *
 *     npm --prefix web run test:browser -- BINARY [DIRECTORY [PART ...]]
 *
 * Each part has an agent of its own, started from BINARY, and goes through its checks one
 * after the other; as many parts as the machine has processors, but at least two, run at
 * the same time. Screenshots go to DIRECTORY (default, or `-`: none are kept). Without a
 * PART all of them run. HOLDFAST_CHROMIUM names another browser than /usr/bin/chromium.
 * Nothing here waits for a time: every wait is for a condition, with one deadline.
 */

import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";

import { agent } from "./agent.mjs";
import { alerting } from "./alerting.mjs";
import { axeIsClean, watch } from "./checks.mjs";
import { connection } from "./connection.mjs";
import { WIDE } from "./looks.mjs";
import { Agent } from "./process.mjs";
import { servers } from "./servers.mjs";
import { shell } from "./shell.mjs";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { chromium } = require("playwright-core");

/** Fills in what asks who is there, a dialog or a page. */
const enter = async (place, token) => {
  await place.getByLabel("Token").fill(token);
  await place.getByRole("button", { name: "Sign in", exact: true }).click();
};

/** The longest first. */
const PARTS = { servers, shell, agent, alerting, connection };
const DEADLINE = 20_000;

const [binary, folder = "-", ...chosen] = process.argv.slice(2);
const unknown = chosen.filter((name) => !(name in PARTS));
if (!binary || unknown.length > 0) {
  console.error(`usage: run.mjs BINARY [DIRECTORY [PART ...]], with parts of ${Object.keys(PARTS).join(", ")}`);
  process.exit(2);
}
const shots = folder === "-" ? undefined : resolve(folder);
if (shots) mkdirSync(shots, { recursive: true });
for (const name of ["SIGINT", "SIGTERM"]) process.once(name, () => process.exit(1));

const browser = await chromium.launch({
  executablePath: process.env.HOLDFAST_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--headless", "--disable-background-networking", "--disable-gpu"],
});

let failures = 0;
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** Runs one check in a window of its own, which may ask only `base`, and says how it went. */
async function check(part, name, { base, ...options }, body) {
  const began = performance.now();
  const context = await browser.newContext({ viewport: WIDE, ...options });
  context.setDefaultTimeout(DEADLINE);
  const page = await context.newPage();
  const seen = watch(page, base);
  try {
    await body(page, seen);
    seen.assertClean();
    console.log(`ok    ${part}: ${name} (${seconds(began)})`);
  } catch (problem) {
    failures += 1;
    console.log(`FAIL  ${part}: ${name}\n      ${String(problem?.stack ?? problem).replaceAll("\n", "\n      ")}`);
    if (shots) await page.screenshot({ path: join(shots, `failed-${failures}.png`) }).catch(() => {});
  } finally {
    await context.close();
  }
}

async function run(part) {
  const own = await Agent.start(resolve(binary));
  const { base, token } = own;
  try {
    await PARTS[part]({
      own,
      base,
      token,
      shots,
      check: (name, options, body) => check(part, name, { base, ...options }, body),
      enter,
      axe: (page, rules) => axeIsClean(page, require, rules),
      signIn: async (page) => {
        await page.goto(`${base}/ui/login`);
        await enter(page.locator("main"), token);
        await page.waitForURL(/\/ui\/$/);
      },
    });
  } catch (problem) {
    failures += 1;
    console.log(`FAIL  ${part}\n      ${String(problem?.stack ?? problem).replaceAll("\n", "\n      ")}`);
  } finally {
    await own.stop();
  }
}

const began = performance.now();
const left = Object.keys(PARTS).filter((name) => chosen.length === 0 || chosen.includes(name));
const lane = async () => {
  for (let part = left.shift(); part; part = left.shift()) await run(part);
};
await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, lane));

await browser.close();
console.log(`${failures === 0 ? "all well" : `${failures} failed`}, in ${seconds(began)}`);
process.exit(failures === 0 ? 0 : 1);
