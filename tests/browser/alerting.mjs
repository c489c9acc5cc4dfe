/**
 * What a person does about alerts, from the first one to a rule of their own: each step on
 * the page of a running agent, with what the agent then really holds.
 */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { join } from "node:path";

import { fitsTheWidth } from "./checks.mjs";

const RULE = "browser_memory";

/** A receiver of webhooks; answers what it is told to. */
async function sink() {
  const seen = [];
  let status = 200;
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      seen.push(JSON.parse(body));
      response.writeHead(status, { "content-type": "text/plain" });
      response.end("heard");
    });
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${server.address().port}/hook`,
    seen,
    answer: (next) => (status = next),
    close: () => new Promise((done) => server.close(done)),
  };
}

export async function alerting({ base, token, check, axe, shots, signIn }) {
  const receiver = await sink();
  const shot = async (page, name) => {
    if (shots) await page.screenshot({ path: join(shots, `flow-${name}.png`), fullPage: true });
  };
  const ask = async (path) => {
    const response = await fetch(base + path, { headers: { authorization: `Bearer ${token}` } });
    assert.ok(response.ok, `${path}: ${response.status}`);
    return response.json();
  };

  await check("first alert: a press asks who is there, and goes on", {}, async (page, seen) => {
    seen.allow(/status of 40[14]/);
    await page.goto(`${base}/ui/alerts`);
    await page.getByRole("button", { name: "Send a test alert" }).click();
    const dialog = page.getByRole("dialog");
    await axe(page);
    await dialog.getByLabel("Token").fill("hf_wrong");
    await dialog.getByRole("button", { name: "Sign in", exact: true }).click();
    await dialog.getByRole("alert").waitFor();
    await dialog.getByLabel("Token").fill(token);
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/ui\/alerts\/.+/);
    await page.getByRole("heading", { name: "A test from the page" }).waitFor();
    await page.getByText("This was reported once").waitFor();
    await axe(page);
    await shot(page, "first-alert");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("button", { name: "Sign in" }).waitFor();
  });

  await check("acknowledge from the overview, take back, resolve", {}, async (page) => {
    await signIn(page);
    await page.locator("[data-alert=test_alert]").getByRole("button", { name: "Acknowledge" }).click();
    await page.getByRole("dialog").getByLabel("Comment").fill("seen by the test");
    await axe(page);
    await page.getByRole("dialog").getByRole("button", { name: "Acknowledge" }).click();
    await page.waitForSelector("[data-alert=test_alert]", { state: "detached" });
    await page.goto(`${base}/ui/alerts?acknowledged=yes`);
    await page.getByText("acknowledged by").waitFor();
    await page.getByRole("link", { name: "A test from the page" }).click();
    await page.getByText("seen by the test").first().waitFor();
    await page.getByRole("button", { name: "Take back" }).click();
    await page.getByRole("button", { name: "Acknowledge" }).waitFor();
    await page.keyboard.press("r");
    await page.getByRole("dialog").getByRole("button", { name: "Resolve" }).click();
    await page.getByText("resolved by hand").waitFor();
    await axe(page);
  });

  await check("channel: made, tested, refused by the far side", {}, async (page, seen) => {
    seen.allow(/status of 422/);
    await signIn(page);
    await page.goto(`${base}/ui/channels`);
    await page.getByRole("button", { name: "New channel" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Kind").selectOption("webhook");
    await dialog.getByLabel("Name").fill("browser");
    await dialog.getByLabel("URL").fill("ftp://nowhere");
    await axe(page);
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.locator("[aria-invalid]").first().waitFor();
    await dialog.getByLabel("URL").fill(receiver.url);
    assert.match(await dialog.getByLabel("All settings").inputValue(), new RegExp(`url = "${receiver.url}"`));
    await dialog.getByRole("button", { name: "Save" }).click();
    const row = page.locator("[data-key=browser]");
    await row.getByRole("button", { name: "Test" }).click();
    await dialog.getByText(/^Delivered in/).waitFor();
    await dialog.getByText("heard").waitFor();
    assert.equal(receiver.seen.at(-1)?.kind, "test");
    await axe(page);
    await shot(page, "channel-test");
    await page.keyboard.press("Escape");
    receiver.answer(500);
    await row.getByRole("button", { name: "Test" }).click();
    await dialog.getByText("Not delivered.").waitFor();
    receiver.answer(200);
  });

  await check("rule: form and text are one, faults stand beside their field", {}, async (page, seen) => {
    // Half an expression is refused, and the browser notes that.
    seen.allow(/status of 4\d\d/);
    await page.goto(`${base}/ui/rules/+new`);
    const text = page.getByRole("textbox", { name: "The same as TOML" });
    await page.getByRole("textbox", { name: "Expression" }).fill("rate(node_load1[");
    await page.locator(".fault", { hasText: "parse error" }).first().waitFor();
    await page.getByRole("textbox", { name: "Expression" }).fill("node_load1");
    await page.getByLabel("high", { exact: true }).fill("0.5");
    assert.match(await text.inputValue(), /expr = "node_load1"\n[^]*levels = \{ high = 0\.5 \}/);
    await text.fill('[[rule]]\nname = "x"\nexpr = "node_load5"\nlevels = { critical = 7 }\n');
    assert.equal(await page.getByRole("textbox", { name: "Expression" }).inputValue(), "node_load5");
    assert.equal(await page.getByLabel("critical", { exact: true }).inputValue(), "7");
    await text.fill("name = oops");
    await page.locator(".fault", { hasText: "line 1" }).waitFor();
    await axe(page);
  });

  await check("rule: written, replayed, saved, seen to fire", {}, async (page) => {
    await signIn(page);
    await page.goto(`${base}/ui/rules`);
    await page.getByRole("link", { name: "New rule" }).click();
    await page.getByLabel("Name").fill(RULE);
    await page.getByRole("textbox", { name: "Expression" }).fill("node_memory_MemTotal_bytes");
    await page.getByLabel("Must hold for").fill("");
    await page.getByLabel("high", { exact: true }).fill("1");
    await page.getByLabel("Title").fill("There is memory");
    await page.locator("section", { hasText: "Value now" }).locator(".pill", { hasText: "high" }).first().waitFor();
    const replay = page.locator("section.replay");
    // A week is judged once a minute, and this agent is younger.
    await replay.getByLabel("History").selectOption("1d");
    await replay.getByRole("button", { name: "Replay the last day" }).click();
    await replay.getByText("When it would have fired").waitFor();
    assert.equal(await replay.locator(".figure").first().textContent(), "1", "one firing");
    assert.equal((await ask("/api/v1/monitoring/rules?limit=1000")).items.some((rule) => rule.name === RULE), false, "nothing is saved yet");
    await axe(page);
    await shot(page, "rule-replay");
    await page.getByRole("button", { name: "Save" }).click();
    await page.waitForURL(new RegExp(`/ui/rules/${RULE}$`));
    await page.goto(`${base}/ui/alerts?q=${RULE}`);
    await page.getByRole("link", { name: "There is memory" }).click();
    await page.getByRole("heading", { name: "Why it fired" }).waitFor();
    await page.waitForSelector("[data-chart=trigger] canvas");
    await page.getByText("is high", { exact: false }).first().waitFor();
    await fitsTheWidth(page);
    await axe(page);
    await shot(page, "alert");
    await page.goto(`${base}/ui/host`);
    await page.getByText(/\d+ marks? in this time/).click();
    await page.locator(".mark-list").getByRole("link", { name: "There is memory" }).waitFor();
    await page.goto(`${base}/ui/channels?tab=deliveries`);
    await page.getByRole("link", { name: "There is memory" }).first().waitFor();
    await axe(page);
  });

  await check("silence: counts what it mutes, mutes it, is ended", {}, async (page) => {
    await signIn(page);
    await page.goto(`${base}/ui/silences`);
    await page.getByRole("button", { name: "New silence" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Matchers").fill("nonsense");
    await dialog.getByText("Not a matcher").waitFor();
    await dialog.getByLabel("Matchers").fill(`alertname="${RULE}"`);
    await dialog.getByText("1 active alert matches.").waitFor();
    await dialog.getByRole("button", { name: "Silence" }).click();
    await page.getByText(`alertname="${RULE}"`).waitFor();
    await page.goto(`${base}/ui/alerts?q=${RULE}`);
    await page.getByText("silenced", { exact: true }).waitFor();
    await page.goto(`${base}/ui/silences`);
    await page.getByRole("button", { name: "End", exact: true }).click();
    await axe(page);
    await page.getByRole("dialog").getByRole("button", { name: "End", exact: true }).click();
    await page.getByText("over", { exact: true }).waitFor();
  });

  await check("many alerts at once, by keys", {}, async (page) => {
    await signIn(page);
    for (const title of ["one of two", "two of two"]) {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const answer = await fetch(`${base}/test-alert`, { method: "POST", headers, body: JSON.stringify({ severity: "low", title }) });
      assert.equal(answer.status, 201);
    }
    await page.goto(`${base}/ui/alerts?q=of+two`);
    await page.getByRole("link", { name: "two of two" }).waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.getByText("2 selected").waitFor();
    await axe(page);
    await shot(page, "bulk");
    await page.keyboard.press("r");
    await page.getByRole("dialog").getByRole("button", { name: "Resolve" }).click();
    await page.getByText("2 alerts resolved.").waitFor();
    await page.getByText("No alert is like that").waitFor();
  });

  await check("rule: removed after a question", {}, async (page) => {
    await signIn(page);
    await page.goto(`${base}/ui/rules/${RULE}`);
    await page.getByRole("button", { name: "Remove" }).click();
    await axe(page);
    await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
    await page.waitForURL(/\/ui\/rules$/);
    await page.waitForSelector("[data-key=high_cpu]");
    assert.equal(await page.locator(`[data-key=${RULE}]`).count(), 0);
  });

  await receiver.close();
}
