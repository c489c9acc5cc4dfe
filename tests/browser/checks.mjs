/** What every page must hold, whatever it shows. */

import assert from "node:assert/strict";

/**
 * Listens for errors of the page and for requests that leave the agent.
 * `allow` names an error that a check causes itself.
 */
export function watch(page, base) {
  const origin = new URL(base).origin;
  const host = new URL(base).host;
  const allowed = [];
  const errors = [];
  const foreign = [];
  page.on("console", (message) => {
    // An agent whose target is down answers health with 503, and the browser notes that.
    const health = message.location().url.endsWith("/api/v1/health") && message.text().includes("status of 503");
    // One that keeps no sessions says so, and the page goes on with the token itself.
    const session = message.location().url.endsWith("/api/v1/session") && message.text().includes("status of 404");
    if ((message.type() === "error" || message.type() === "warning") && !health && !session) errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error.stack ?? error)));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) foreign.push(request.url());
  });
  page.on("websocket", (socket) => {
    if (new URL(socket.url()).host !== host) foreign.push(socket.url());
  });
  return {
    allow: (pattern) => allowed.push(pattern),
    assertClean() {
      const left = errors.filter((text) => !allowed.some((pattern) => pattern.test(text)));
      assert.deepEqual(left, [], "the console is clean");
      assert.deepEqual(foreign, [], "no request leaves the host");
    },
  };
}

/** Waits until the live badge says what `pattern` matches. */
export async function liveWords(page, pattern) {
  await page.waitForFunction(
    ([source]) => new RegExp(source).test(document.querySelector("[data-live]")?.getAttribute("data-live") ?? ""),
    [pattern.source],
  );
}

/** Waits until the text of `selector` is another one than now. */
export async function textChanges(page, selector) {
  const before = await page.textContent(selector);
  await page.waitForFunction(([s, old]) => document.querySelector(s)?.textContent !== old, [selector, before]);
}

/** Waits until everything that `selector` names has a size. */
export async function shown(page, selector) {
  await page.waitForFunction(
    (s) => [...document.querySelectorAll(s)].every((element) => element.getBoundingClientRect().height > 0),
    selector,
  );
  // One more frame, so that charts that came into sight are drawn.
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

export async function fitsTheWidth(page) {
  const [wide, window, beyond] = await page.evaluate(() => {
    const out = [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5);
    return [document.documentElement.scrollWidth, innerWidth, out.slice(-3).map((one) => `${one.outerHTML.slice(0, 160)} in ${one.parentElement?.outerHTML.slice(0, 160)}`)];
  });
  assert.ok(wide <= window, `the page is ${wide} px wide in a window of ${window}: ${beyond.join("\n")}`);
}

/**
 * Runs axe with all its rules, or with those of `rules`. Its source is evaluated, not
 * inserted: the page's policy allows no inline script.
 */
export async function axeIsClean(page, require, rules) {
  const { source } = require("axe-core");
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(source);
  const violations = await page.evaluate(async (only) => {
    const result = await globalThis.axe.run(only ? { runOnly: only } : {});
    return result.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.target.join(" ")).join(", ")}`);
  }, rules);
  assert.deepEqual(violations, [], "axe finds nothing");
}
