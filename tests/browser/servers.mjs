/**
 * What a person does about servers: targets, a failover group whose primary is killed while
 * the page is open, a switchover, checks, events over a cut connection. The servers are real.
 */

import assert from "node:assert/strict";
import { join } from "node:path";

import { fitsTheWidth } from "./checks.mjs";
import { looks } from "./looks.mjs";
import { freePort, pair } from "./postgres.mjs";

/** A standby takes over within seconds, but not on a machine that does much else, ms. */
const PATIENCE = 90_000;
const [FIRST, SECOND, GROUP] = ["browser1", "browser2", "browser"];

/** Each page with something on it. */
const WITH_DATA = [
  { name: "targets-data", path: "/ui/targets", ready: `[data-key=${FIRST}]` },
  { name: "target-data", path: `/ui/targets/${FIRST}`, ready: "[data-chart=operations] canvas" },
  { name: "target-checks", path: `/ui/targets/${FIRST}?tab=history`, ready: "main .table" },
  { name: "failover-data", path: "/ui/failover", ready: ".topology" },
  { name: "group-data", path: `/ui/failover/${GROUP}`, ready: "[data-part=journal] li" },
  { name: "tasks-data", path: "/ui/tasks", ready: "[data-key=browser_backup]" },
  { name: "check-data", path: "/ui/tasks/browser_backup", ready: "main .table" },
  { name: "events-data", path: "/ui/events", ready: ".tail li" },
];

export async function servers(ctx) {
  const { base, token, check, axe, shots, signIn } = ctx;
  const shot = async (page, name) => {
    if (shots) await page.screenshot({ path: join(shots, `flow-${name}.png`), fullPage: true });
  };
  const send = async (method, path, body) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const response = await fetch(base + path, { method, headers, body: JSON.stringify(body) });
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.clone().text()}`);
    return response;
  };
  const active = (page, name) => page.waitForSelector(`.topology[data-active="${name}"]`, { timeout: PATIENCE });
  const { primary, standby, stop } = await pair(FIRST, SECOND);

  try {
    await check("target: made with form and text, refused beside its field", {}, async (page, seen) => {
      seen.allow(/status of 422/);
      await signIn(page);
      await page.goto(`${base}/ui/targets`);
      await page.getByText("Nothing is probed yet").waitFor();
      await page.getByRole("link", { name: "New target" }).click();
      await page.getByLabel("Name").fill(FIRST);
      await page.getByLabel("Host").fill("127.0.0.1");
      await page.getByLabel("User").fill("holdfast");
      await page.getByLabel("Port").fill("99999");
      await page.getByRole("button", { name: "Save" }).click();
      await page.locator("[aria-invalid]").first().waitFor();
      await axe(page);
      const text = page.getByRole("textbox", { name: "The same as TOML" });
      await text.fill((await text.inputValue()).replace("port = 99999", `port = ${primary.port}\ntls = "disable"\ninterval = "1s"\ntimeout = "1s"`));
      assert.equal(await page.getByLabel("Port").inputValue(), String(primary.port));
      await page.getByRole("button", { name: "Save" }).click();
      await page.waitForURL(new RegExp(`/ui/targets/${FIRST}$`));
      await page.getByText(/^ok for/).waitFor();
      await page.getByRole("button", { name: "Probe now" }).click();
      await page.getByText(/^ok, in /).waitFor();
      await page.waitForSelector("[data-chart=operations] canvas");
      await axe(page);
      await shot(page, "target");
    });

    await check("target: one that is called new can be opened", {}, async (page) => {
      await send("POST", "/api/v1/targets", { kind: "http", name: "new", url: `${base}/livez` });
      await page.goto(`${base}/ui/targets`);
      await page.getByRole("link", { name: "new", exact: true }).click();
      await page.getByRole("heading", { name: "new", level: 1 }).waitFor();
      await page.getByRole("button", { name: "Probe now" }).waitFor();
      await send("DELETE", "/api/v1/targets/new");
    });

    await check("breaker: forced open after a question, released", {}, async (page) => {
      await signIn(page);
      await page.goto(`${base}/ui/targets/${FIRST}`);
      await page.getByRole("button", { name: "Force open" }).click();
      await axe(page);
      await page.getByRole("dialog").getByRole("button", { name: "Force open" }).click();
      await page.waitForSelector("[data-breaker=forced_open]");
      await page.getByText("closed to forced open").waitFor();
      await shot(page, "breaker");
      await page.getByRole("button", { name: "Release" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Release" }).click();
      await page.waitForSelector("[data-breaker=closed]");
    });

    await check("failover: a group is made, its test changes nothing", {}, async (page, seen) => {
      // A drill without a rejoin hook is refused.
      seen.allow(/status of 409/);
      await signIn(page);
      const target = { kind: "postgres", name: SECOND, host: "127.0.0.1", port: standby.port, user: "holdfast", tls: "disable", interval: "1s", timeout: "1s" };
      await send("POST", "/api/v1/targets", target);
      await page.goto(`${base}/ui/failover`);
      await page.getByText("No failover group yet").waitFor();
      await page.getByText("[[failover.group]]").waitFor();
      await page.getByRole("link", { name: "New group" }).click();
      await page.getByLabel("Name").fill(GROUP);
      await page.getByLabel("Members").fill(`${FIRST}, ${SECOND}`);
      await page.getByLabel("Address for applications").fill(`127.0.0.1:${await freePort()}`);
      await page.getByRole("button", { name: "Save" }).click();
      await page.waitForURL(new RegExp(`/ui/failover/${GROUP}$`));
      await active(page, FIRST);
      await page.getByText(`${SECOND} would take over`).first().waitFor({ timeout: PATIENCE });
      await page.getByRole("button", { name: "Test", exact: true }).click();
      await page.getByRole("dialog").getByText(`${SECOND} would take over.`).waitFor();
      await axe(page);
      await shot(page, "failover-test");
      await page.getByRole("dialog").getByRole("button", { name: "Drill" }).click();
      await page.getByRole("heading", { name: `Drill of ${GROUP}` }).waitFor();
      await axe(page);
      await page.getByLabel(`Type ${GROUP} to go on`).fill(GROUP);
      await page.keyboard.press("Enter");
      await page.getByRole("dialog").getByText(/has no .rejoin_hook./).waitFor();
      await page.keyboard.press("Escape");
      assert.equal(await primary.psql("select pg_is_in_recovery()"), "f", "the test changed nothing");
    });

    await check("failover: the primary is killed while the page is open", {}, async (page, seen) => {
      // Without a route the whole is unhealthy for a moment.
      seen.allow(/status of 503/);
      await page.goto(`${base}/ui/failover/${GROUP}`);
      await active(page, FIRST);
      await primary.kill();
      await active(page, SECOND);
      await page.getByText(`${SECOND} serves.`).waitFor();
      assert.equal(await standby.psql("select pg_is_in_recovery()"), "f", "the standby was promoted");
      await page.locator("[data-part=journal]").getByText("routed", { exact: true }).first().waitFor();
      await page.locator("[data-part=last]").getByText(`${FIRST} to ${SECOND}`).waitFor();
      const rejoin = page.locator("[data-part=rejoin]");
      await rejoin.getByText(/^pg_rewind --target-pgdata/).waitFor();
      assert.match((await rejoin.locator("code").textContent()) ?? "", new RegExp(`port=${standby.port} `), "it names the new primary");
      await axe(page);
      await fitsTheWidth(page);
      await shot(page, "failed-over");
    });

    await check("failover: the old primary comes back fenced, rejoins, is switched to by its typed name", {}, async (page, seen) => {
      seen.allow(/status of 503/);
      await signIn(page);
      await page.goto(`${base}/ui/failover/${GROUP}`);
      await primary.start();
      await page.getByRole("button", { name: "Lift the fence" }).waitFor({ timeout: PATIENCE });
      await axe(page);
      await shot(page, "fenced");
      await primary.rejoin(standby);
      await page.getByText(`${FIRST} would take over`).first().waitFor({ timeout: PATIENCE });
      await page.getByRole("button", { name: "Switch over", exact: true }).click();
      const dialog = page.getByRole("dialog");
      const go = dialog.getByRole("button", { name: "Switch over", exact: true });
      assert.ok(await go.isDisabled(), "nothing was typed yet");
      await dialog.getByLabel(`Type ${GROUP} to go on`).fill("browse");
      assert.ok(await go.isDisabled(), "half the name was typed");
      await dialog.getByLabel("To", { exact: true }).selectOption(FIRST);
      await dialog.getByLabel(`Type ${GROUP} to go on`).fill(GROUP);
      await axe(page);
      await shot(page, "switchover");
      await page.keyboard.press("Enter");
      await active(page, FIRST);
      await page.getByText(`${FIRST} serves.`).waitFor();
      assert.equal(await primary.psql("select pg_is_in_recovery()"), "f");
    });

    await check("failover: what may be lost is named; paused and resumed", {}, async (page) => {
      await signIn(page);
      await page.goto(`${base}/ui/failover/${GROUP}`);
      await page.getByRole("button", { name: "Fail over", exact: true }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByText("What may be lost").waitFor();
      await dialog.getByLabel("Override lag and a missing quorum").check();
      await dialog.getByLabel(`Type ${GROUP} to go on`).fill(GROUP);
      const go = dialog.getByRole("button", { name: "Fail over", exact: true });
      assert.ok(await go.isDisabled(), "the loss was not accepted yet");
      await dialog.getByLabel("I accept that data is lost").check();
      assert.ok(await go.isEnabled());
      await axe(page);
      await shot(page, "failover-typed");
      await page.keyboard.press("Escape");
      await page.getByRole("button", { name: "Pause", exact: true }).click();
      await dialog.getByRole("button", { name: "Pause", exact: true }).click();
      await page.waitForSelector("[data-state=paused]");
      await page.getByRole("button", { name: "Resume", exact: true }).click();
      await dialog.getByRole("button", { name: "Resume", exact: true }).click();
      await page.waitForSelector("[data-state=steady]");
    });

    await check("check: made, reported to, paused", {}, async (page) => {
      await signIn(page);
      await page.goto(`${base}/ui/tasks`);
      await page.getByRole("link", { name: "New check" }).click();
      await page.getByLabel("Name", { exact: true }).fill("browser_backup");
      await page.getByRole("button", { name: "Save" }).click();
      await page.waitForURL(/\/ui\/tasks\/browser_backup$/);
      const address = (await page.locator(".command code").first().textContent()) ?? "";
      assert.match(address, /\/ping\/[0-9a-f-]{36}$/);
      const answer = await fetch(address, { method: "POST", body: "copied by the test" });
      assert.equal(await answer.text(), "OK");
      await page.getByText("copied by the test").waitFor();
      await axe(page);
      await shot(page, "check");
      await page.getByRole("button", { name: "Pause", exact: true }).click();
      await page.getByText("paused", { exact: true }).first().waitFor();
      await page.goto(`${base}/ui/tasks?tab=jobs`);
      await page.getByRole("link", { name: "browser_backup" }).first().waitFor();
    });

    await check("events: cut and resumed by number, paused without loss", {}, async (page, seen) => {
      seen.allow(/WebSocket/);
      const sockets = [];
      let refuse = false;
      await page.routeWebSocket(/\/api\/v1\/monitoring\/events/, (socket) => {
        // The page's own connection leaves the types of storage out.
        if (new URL(socket.url()).searchParams.get("types")?.includes("storage")) sockets.push(socket);
        if (refuse) void socket.close();
        else socket.connectToServer();
      });
      const happen = (title) => send("POST", "/test-alert", { severity: "low", title });
      await page.goto(`${base}/ui/events`);
      await page.waitForSelector("[data-tail=open]");
      await page.getByText(`breaker closed to forced open`).first().waitFor();
      refuse = true;
      await sockets[0].close();
      await page.waitForSelector("[data-tail=waiting]");
      await happen("while it was cut");
      assert.equal(await page.getByText("while it was cut").count(), 0);
      refuse = false;
      await page.getByText("while it was cut").first().waitFor();
      assert.match(new URL(sockets.at(-1).url()).searchParams.get("since") ?? "", /^[1-9]\d*$/);
      assert.equal(await page.locator(".gap-mark").count(), 0, "nothing is missing");
      await page.getByRole("button", { name: "Pause" }).click();
      await page.waitForSelector("[data-tail=paused]");
      await happen("while it was paused");
      await page.getByRole("button", { name: "Resume" }).click();
      await page.getByText("while it was paused").first().waitFor();
      await page.getByRole("button", { name: "Alerts", exact: true }).click();
      await page.waitForURL(/types=/);
      await page.waitForSelector("[data-tail=open]");
      assert.equal(await page.getByText("while it was cut").count(), 0, "its type is not chosen");
      await axe(page);
    });

    await looks(ctx, WITH_DATA);
  } finally {
    await stop();
  }
}
