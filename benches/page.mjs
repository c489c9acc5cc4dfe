/**
 * What the page takes in headless Chromium, against a running agent of its own:
 *
 *     node benches/page.mjs BINARY [ROUNDS]
 *
 * Cold load: from the start of the navigation, with nothing cached, until the overview shows
 * the agent's figures and no task of 50 ms or more has run since (so a press is answered at
 * once). Scrolling: fifty charts of a day each, drawn by the page's own parts, from top to
 * bottom and back, wheel step by wheel step; a frame is the time between two callbacks of
 * requestAnimationFrame. Both are told a second time as what the page's main thread itself
 * worked, in CPU time from the browser's trace: that does not depend on what else the machine
 * does. Says medians and the worst of ROUNDS (default 15).
 */

import { createRequire } from "node:module";
import { resolve } from "node:path";

import { Agent } from "../tests/browser/process.mjs";

const web = new URL("../web/", import.meta.url);
const require = createRequire(new URL("package.json", web));
const { chromium } = require("playwright-core");
const { build } = require("esbuild");

const [binary, wanted = "15"] = process.argv.slice(2);
const rounds = Number(wanted);
if (!binary || !(rounds > 0)) {
  console.error("usage: page.mjs BINARY [ROUNDS]");
  process.exit(2);
}

/** A page is called settled when no long task came for so long, ms. */
const QUIET = 500;
/** Pixels of one step of the wheel. */
const WHEEL = 120;

const sorted = (values) => [...values].sort((a, b) => a - b);
const median = (values) => sorted(values)[Math.floor(values.length / 2)];
const say = (what, values) => console.log(`${what}: median ${median(values).toFixed(1)}, worst ${Math.max(...values).toFixed(1)} ms, of ${values.length}`);

const browser = await chromium.launch({
  executablePath: process.env.HOLDFAST_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--headless", "--disable-background-networking", "--disable-gpu"],
});

/** The work of a page's main thread while `body` runs, CPU ms: all of it, and its longest task. */
async function worked(page, body) {
  const session = await browser.newBrowserCDPSession();
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  const ended = new Promise((done) => session.once("Tracing.tracingComplete", done));
  await session.send("Tracing.start", { traceConfig: { includedCategories: ["toplevel"] }, transferMode: "ReportEvents" });
  const result = await body();
  await session.send("Tracing.end");
  await ended;
  await session.detach();
  const threads = new Map();
  for (const { pid, tid, name, args } of events) {
    if (name === "thread_name" && args.name === "CrRendererMain") threads.set(`${pid} ${tid}`, { total: 0, longest: 0 });
  }
  for (const { pid, tid, name, tdur } of events) {
    const thread = threads.get(`${pid} ${tid}`);
    if (!thread || name !== "ThreadControllerImpl::RunTask" || !tdur) continue;
    thread.total += tdur / 1000;
    thread.longest = Math.max(thread.longest, tdur / 1000);
  }
  const busiest = [...threads.values()].sort((a, b) => b.total - a.total)[0] ?? { total: 0, longest: 0 };
  return { ...busiest, result };
}

/** Runs `body` in a window without anything cached. */
async function fresh(body) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  try {
    return await body(await context.newPage());
  } finally {
    await context.close();
  }
}

async function load(base) {
  return fresh(async (page) => {
    await page.addInitScript(() => {
      const seen = (globalThis.seen = { shown: 0, busy: 0 });
      new PerformanceObserver((list) => {
        for (const task of list.getEntries()) seen.busy = Math.max(seen.busy, task.startTime + task.duration);
      }).observe({ type: "longtask", buffered: true });
      new MutationObserver((_, observer) => {
        if (!document.querySelector("[data-tile=Host] dl")) return;
        observer.disconnect();
        // Painted once the next frame begins.
        requestAnimationFrame(() => requestAnimationFrame(() => (seen.shown = performance.now())));
      }).observe(document, { childList: true, subtree: true });
    });
    const { total, longest } = await worked(page, async () => {
      await page.goto(`${base}/ui/`);
      await page.waitForFunction(() => seen.shown > 0);
    });
    await page.waitForFunction((quiet) => seen.shown > 0 && performance.now() - Math.max(seen.shown, seen.busy) > quiet, QUIET);
    const times = await page.evaluate(() => {
      const paint = performance.getEntriesByName("first-contentful-paint")[0];
      return { interactive: Math.max(seen.shown, seen.busy), paint: paint?.startTime ?? 0 };
    });
    return { ...times, total, longest };
  });
}

async function scroll(base, files) {
  return fresh(async (page) => {
    await page.route("**/bench/*", (route) => {
      const name = new URL(route.request().url()).pathname.split("/").at(-1);
      if (name in files) return route.fulfill({ contentType: name.endsWith(".css") ? "text/css" : "text/javascript", body: files[name] });
      const body = '<!doctype html><html lang="en"><title>Charts</title><link rel="stylesheet" href="style.css"><div id="root"></div><script type="module" src="app.js"></script></html>';
      return route.fulfill({ contentType: "text/html", body });
    });
    await page.goto(`${base}/bench/index`);
    await page.waitForFunction(() => document.querySelectorAll("[data-chart] canvas").length >= 100);
    // Loading is measured elsewhere.
    await page.evaluate(() => new Promise((done) => requestIdleCallback(done)));
    await page.evaluate(() => {
      globalThis.frames = [];
      let before = 0;
      const step = (now) => {
        if (before > 0) frames.push(now - before);
        before = now;
        requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    });
    await page.mouse.move(640, 400);
    const { longest } = await worked(page, async () => {
      for (const way of [1, -1]) {
        const there = (one) => page.evaluate((down) => (down > 0 ? scrollY + innerHeight >= document.documentElement.scrollHeight - 1 : scrollY === 0), one);
        while (!(await there(way))) await page.mouse.wheel(0, way * WHEEL);
      }
    });
    return { frames: await page.evaluate(() => frames), longest };
  });
}

const { outputFiles } = await build({
  absWorkingDir: resolve(new URL(".", web).pathname),
  entryPoints: { app: "bench/charts.tsx", style: "src/style/index.css" },
  bundle: true,
  minify: true,
  format: "esm",
  jsx: "automatic",
  jsxImportSource: "preact",
  define: { "process.env.NODE_ENV": '"production"' },
  outdir: "out",
  write: false,
});
const files = Object.fromEntries(outputFiles.map(({ path, text }) => [path.split("/").at(-1), text]));

const agent = await Agent.start(resolve(binary));
try {
  const loads = [];
  const worst = [];
  const tasks = [];
  const all = [];
  // The first of each starts the browser's own processes.
  await load(agent.base);
  for (let i = 0; i < rounds; i += 1) loads.push(await load(agent.base));
  for (let i = 0; i < rounds; i += 1) {
    const { frames, longest } = await scroll(agent.base, files);
    tasks.push(longest);
    worst.push(Math.max(...frames));
    all.push(...frames);
  }
  say("first paint", loads.map((one) => one.paint));
  say("interactive", loads.map((one) => one.interactive));
  say("work of the main thread until then", loads.map((one) => one.total));
  say("worst frame of a scroll", worst);
  say("longest task of a scroll", tasks);
  console.log(`frames: ${all.length}, above 50 ms ${all.filter((one) => one > 50).length}, p99 ${sorted(all)[Math.floor(all.length * 0.99)].toFixed(1)} ms`);
} finally {
  await agent.stop();
  await browser.close();
}
