/**
 * What the page does when it and the agent lose each other: the wire is cut or pulled, the
 * agent dies and comes back, the login ends. Time passes by the page's own clock, which is
 * turned forward.
 */

import assert from "node:assert/strict";

import { liveWords, textChanges } from "./checks.mjs";
import { Agent } from "./process.mjs";
import { relay } from "./relay.mjs";

/** How a wire fails, for how long (ms), and what the page says then. A pulled one ends nothing: that is only noticed by the silence, and the clock is turned twice, should something that was on its way be heard late. */
const FAILURES = [
  { how: "cut", lasts: 30_000, turns: 1, words: /^disconnected 3\d s, retrying$/ },
  { how: "pull", lasts: 100_000, turns: 2, words: /^disconnected \d+ (s|min), retrying$/ },
];

/** The page gives a socket that does not open this long, and a little more, ms. */
const NEXT_TRY = 12_000;

export async function connection({ own, base, token, check, axe, enter }) {
  const happen = async (title) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await fetch(`${own.base}/test-alert`, { method: "POST", headers, body: JSON.stringify({ severity: "low", title }) });
    assert.equal(answer.status, 201);
  };
  /** Opens the alerts by way of the overview, whose figures come by the live connection. */
  const toAlerts = async (page, where) => {
    await page.goto(`${where}/ui/`);
    await textChanges(page, "[data-tile=Host] dl");
    await page.getByRole("link", { name: /^Alerts/ }).first().click();
    await page.waitForSelector("main .list");
    await liveWords(page, /^live$/);
  };
  /** A page that loads itself again forgets this. */
  const mark = (page) => page.evaluate(() => (globalThis.sameVisit = true));
  const isSameVisit = async (page) => assert.equal(await page.evaluate(() => globalThis.sameVisit), true, "the page did not load itself again");
  const addresses = (page) => {
    const seen = [];
    page.on("websocket", (socket) => seen.push(new URL(socket.url()).searchParams));
    return seen;
  };

  for (const { how, lasts, turns, words } of FAILURES) {
    const wire = await relay(base);
    await check(`wire: ${how === "cut" ? "cut" : "pulled"} for ${lasts / 1000} s`, { base: wire.base }, async (page, seen) => {
      seen.allow(/WebSocket|ERR_|Failed to load/);
      const asked = addresses(page);
      await page.clock.install();
      await toAlerts(page, wire.base);
      await mark(page);
      wire[how]();
      await happen(`during the ${how}`);
      for (let i = 0; i < turns; i += 1) {
        await liveWords(page, / ago$|^disconnected/);
        await page.clock.fastForward(lasts);
      }
      await liveWords(page, words);
      await page.waitForSelector("main.stale");
      assert.equal(await page.getByText(`during the ${how}`).count(), 0);
      await axe(page);
      wire.mend();
      // What was asked while it was pulled is lost, and given up for another try.
      await page.clock.fastForward(NEXT_TRY);
      await liveWords(page, /^live$/);
      await page.waitForSelector("main:not(.stale)");
      await page.getByText(`during the ${how}`).first().waitFor();
      assert.match(asked.at(-1).get("since") ?? "", /^[1-9]\d*$/, "it resumes by number");
      await isSameVisit(page);
    });
    wire.close();
  }

  await check("agent: killed and started again on the same data", {}, async (page, seen) => {
    seen.allow(/WebSocket|ERR_|Failed to load/);
    await happen("before the crash");
    await toAlerts(page, base);
    await page.getByText("before the crash").first().waitFor();
    await mark(page);
    await own.kill();
    await liveWords(page, /^disconnected \d+ s, retrying$/);
    await page.waitForSelector("main.stale");
    await page.getByText("before the crash").first().waitFor();
    await axe(page);
    await own.begin();
    await liveWords(page, /^live$/);
    await page.waitForSelector("main:not(.stale)");
    await page.getByText("before the crash").first().waitFor();
    await happen("after the crash");
    await page.getByText("after the crash").first().waitFor();
    await isSameVisit(page);
    await page.goto(`${base}/ui/host?from=now-5m&to=now`);
    await page.waitForSelector("[data-chart=cpu] canvas");
  });

  const closed = await Agent.start(own.binary, '[auth]\nanonymous = "none"\n');
  try {
    await check("login: it ends, is asked for again, and what was begun goes on", { base: closed.base }, async (page, seen) => {
      seen.allow(/status of 401|WebSocket/);
      const where = `${closed.base}/ui/rules/+new`;
      await page.goto(`${closed.base}/ui/alerts?q=nothing`);
      const dialog = page.getByRole("dialog");
      await dialog.waitFor();
      await axe(page);
      await enter(dialog, closed.token);
      await dialog.waitFor({ state: "hidden" });
      await page.getByText("No alert is like that").waitFor();
      assert.equal(new URL(page.url()).searchParams.get("q"), "nothing", "one stays where one was");
      await liveWords(page, /^live$/);

      await page.goto(where);
      await page.getByLabel("Name").fill("browser_later");
      await page.getByRole("textbox", { name: "Expression" }).fill("node_load1");
      await page.getByLabel("high", { exact: true }).fill("1000");
      await mark(page);
      const cookie = (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
      assert.notEqual(cookie, "", "the login is a cookie");
      const ended = await fetch(`${closed.base}/api/v1/session`, { method: "DELETE", headers: { cookie, origin: closed.base, "sec-fetch-site": "same-origin" } });
      assert.ok(ended.ok, `the session was to end: ${ended.status}`);
      // What the page asks for by itself is enough to notice it.
      await dialog.waitFor();
      assert.equal(page.url(), where);
      await enter(dialog, closed.token);
      await dialog.waitFor({ state: "hidden" });
      await page.getByRole("button", { name: "Save" }).click();
      await page.waitForURL(/\/ui\/rules\/browser_later$/);
      await isSameVisit(page);
      await liveWords(page, /^live$/);
    });
  } finally {
    await closed.stop();
  }
}
