/**
 * What a person does with the agent itself: looks into series, changes a setting, hands out
 * a token and takes it back, tries the API, reads the guide. Each step on the page of a
 * running agent, with what the agent then really holds.
 */

import assert from "node:assert/strict";
import { join } from "node:path";

import { looks } from "./looks.mjs";

/** Pages that want a signed-in person, or have states that are worth a look of their own. */
const PAGES = [
  { name: "access", needs: "/api/v1/tokens", path: "/ui/settings/access", ready: "main [role=tabpanel] .list" },
  { name: "users", needs: "/api/v1/users", path: "/ui/settings/access?tab=users", ready: "main [role=tabpanel] .card" },
  { name: "backups", needs: "/api/v1/backups", path: "/ui/maintain", ready: "main [role=tabpanel] .card" },
  { name: "store", needs: "/api/v1/system/store", path: "/ui/maintain?tab=store", ready: "main [role=tabpanel] .list" },
  { name: "audit", path: "/ui/maintain?tab=audit", ready: "main [role=tabpanel] .list" },
  { name: "settings", path: "/ui/settings", ready: "[data-key=listen]" },
  { name: "drift", path: "/ui/settings?tab=drift", ready: "main [role=tabpanel] .card" },
  { name: "retention", path: "/ui/settings?tab=retention", ready: "main [role=tabpanel] .facts" },
  { name: "quiet-hours", path: "/ui/settings?tab=quiet", ready: "main form" },
  { name: "routes", path: "/ui/settings?tab=routes", ready: "main [role=tabpanel] .card" },
  { name: "about", path: "/ui/settings?tab=about", ready: "[data-key=sampler]" },
  { name: "api", path: "/ui/api?op=GET%20/api/v1/health", ready: ".explorer h2 code" },
  { name: "explore", path: "/ui/explore?e1=node_load1&from=now-5m", ready: "[data-chart] canvas" },
  { name: "explore-table", path: "/ui/explore?e1=node_load1&view=table", ready: ".list" },
  { name: "guide", path: "/ui/help/failover", ready: "article h3" },
];

export async function agent(ctx) {
  const { base, token, check, axe, shots, signIn } = ctx;
  const shot = async (page, name) => {
    if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
  };
  const { paths } = await (await fetch(`${base}/api/openapi.json`)).json();
  /** Leaves a check out, and says so, where the agent is built without what it drives. */
  const checkWith = (needed, name, options, body) => {
    if (needed in paths) return check(name, options, body);
    console.log(`skip  ${name}: the agent has no ${needed}`);
  };
  const ask = async (path, as = token) => fetch(base + path, { headers: { authorization: `Bearer ${as}` } });

  await check("explore: offers names, marks what is wrong, then shows it", {}, async (page, seen) => {
    seen.allow(/status of 400/);
    await page.goto(`${base}/ui/explore`);
    const field = page.getByRole("textbox", { name: "Expression A" });
    await field.click();
    await page.keyboard.type("rate(node_cpu_sec");
    await page.getByRole("option", { name: /node_cpu_seconds_total/ }).waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.type("{mo");
    await page.getByRole("option", { name: "mode" }).waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.keyboard.type('="id');
    await page.getByRole("option", { name: "idle" }).waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.type('"}[5m)');
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    assert.equal(await page.locator(".promql-fault mark").textContent(), ")");
    await axe(page);
    await page.getByRole("button", { name: "Go there" }).click();
    const marked = await field.evaluate((one) => one.value.slice(one.selectionStart, one.selectionEnd));
    assert.equal(marked, ")");
    await page.keyboard.type("])");
    await page.keyboard.press("Enter");
    await page.locator("[data-chart=explore-A] canvas >> nth=0").waitFor();
    assert.equal(new URL(page.url()).searchParams.get("e1"), 'rate(node_cpu_seconds_total{mode="idle"}[5m])');

    await page.getByRole("button", { name: "Add an expression" }).click();
    await page.waitForFunction(() => document.activeElement?.closest(".expression")?.querySelector("#expression-B"));
    await page.keyboard.type("node_load1");
    await page.keyboard.press("Enter");
    await page.locator("[data-chart=explore-B] canvas >> nth=0").waitFor();
    await page.getByRole("button", { name: "Table", exact: true }).click();
    await page.getByRole("cell", { name: "node_load1" }).waitFor();
    await page.reload();
    await page.getByRole("cell", { name: "node_load1" }).waitFor();
    await page.getByRole("button", { name: "Remove expression A" }).click();
    await page.waitForFunction(() => document.querySelectorAll(".expression").length === 1);
    assert.equal(new URL(page.url()).searchParams.get("e1"), "node_load1");
  });

  await check("settings: refused, changed, seen as drift, taken back", {}, async (page, seen) => {
    seen.allow(/status of 4(0[14]|22)/);
    await signIn(page);
    await page.goto(`${base}/ui/settings`);
    await page.getByRole("button", { name: "Edit alerting.start_grace" }).click();
    const dialog = page.getByRole("dialog");
    await axe(page);
    await dialog.getByLabel("Value").fill("90");
    await page.keyboard.press("Enter");
    await dialog.getByText(/has no unit/).waitFor();
    await dialog.getByLabel("Value").fill("90s");
    await page.keyboard.press("Enter");
    await page.getByText(/^Saved/).waitFor();
    await page.locator('[data-key="alerting.start_grace"]').getByText("run time").waitFor();
    const held = async () => {
      const { values } = await (await ask("/api/v1/config")).json();
      return values.find((one) => one.key === "alerting.start_grace");
    };
    assert.equal((await held()).origin.source, "runtime");
    await page.getByRole("tab", { name: "Against the file" }).click();
    await page.getByRole("button", { name: "Take back alerting.start_grace" }).click();
    await page.locator('[data-key="alerting.start_grace"]').waitFor({ state: "detached" });
    assert.notEqual((await held()).origin.source, "runtime");

    await page.getByRole("tab", { name: "Retention" }).click();
    await page.getByLabel("Room for the store").fill("64MiB");
    await page.getByLabel("Every sample for").fill("60d");
    await page.getByText(/This is more than the room/).waitFor();
  });

  await check("settings: a change from two sides is told, and meant the second time", {}, async (page, seen) => {
    seen.allow(/status of 4(0[14]|12)/);
    await signIn(page);
    await page.goto(`${base}/ui/settings?tab=quiet`);
    await page.getByRole("textbox", { name: "From" }).fill("21:00");
    await page.getByRole("textbox", { name: "To" }).fill("06:00");
    const { headers } = await ask("/api/v1/config");
    const patched = await fetch(`${base}/api/v1/config`, {
      method: "PATCH",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/merge-patch+json", "if-match": headers.get("etag") },
      body: JSON.stringify({ log: { level: "warn" } }),
    });
    assert.equal(patched.status, 200);
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText(/the configuration changed since/).waitFor();
    await page.locator("main form").getByRole("button", { name: "Save" }).click();
    await page.getByText("On, from 21:00 to 06:00.").waitFor();
    await page.getByRole("button", { name: "Switch off" }).click();
    await page.getByText(/^Off:/).waitFor();
    await page.goto(`${base}/ui/settings?tab=drift`);
    await page.getByRole("button", { name: "Take back log.level" }).click();
    await page.locator('[data-key="log.level"]').waitFor({ state: "detached" });
  });

  await check("quiet hours and routes: set, seen, ended", {}, async (page, seen) => {
    seen.allow(/status of 40[14]/);
    await signIn(page);
    await page.goto(`${base}/ui/settings?tab=quiet`);
    await page.getByRole("textbox", { name: "From" }).fill("22:00");
    await page.getByRole("textbox", { name: "To" }).fill("07:00");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("On, from 22:00 to 07:00.").waitFor();
    await page.getByRole("button", { name: "Switch off" }).click();
    await page.getByText(/^Off:/).waitFor();

    await page.getByRole("tab", { name: "Routes" }).click();
    const before = await page.locator("main [role=tabpanel] tbody tr").count();
    await page.getByRole("button", { name: "New route" }).click();
    await page.getByLabel("Severity").fill(">= critical");
    await page.getByLabel("Wait for more").fill("45s");
    await axe(page);
    await page.getByRole("button", { name: "Save" }).click();
    const row = page.locator(`main [role=tabpanel] [data-key="${before}"]`);
    await row.getByText("severity >= critical").waitFor();
    await row.getByText("45s").waitFor();
    await page.getByRole("button", { name: `Remove route ${before + 1}` }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove", exact: true }).click();
    await row.waitFor({ state: "detached" });
  });

  await checkWith("/api/v1/tokens", "tokens: made, shown once, good, revoked, no longer good", {}, async (page, seen) => {
    seen.allow(/status of 40[14]/);
    await signIn(page);
    await page.goto(`${base}/ui/settings/access`);
    await page.getByRole("button", { name: "New token" }).click();
    const dialog = page.getByRole("dialog");
    await axe(page);
    await dialog.getByLabel("Name").fill("from the page");
    await dialog.getByLabel(/^config:write/).check();
    await dialog.getByRole("button", { name: "Make the token" }).click();
    const made = await dialog.locator("pre code").textContent();
    await axe(page);
    await shot(page, "token-made");
    await dialog.getByRole("button", { name: "I have it" }).click();
    assert.equal((await ask("/api/v1/config/export", made)).status, 200);
    assert.equal((await ask("/api/v1/tokens", made)).status, 403);
    await page.getByRole("button", { name: "Revoke from the page" }).click();
    await dialog.getByRole("button", { name: "Revoke", exact: true }).click();
    await page.getByText("The token from the page is revoked.").waitFor();
    await page.getByRole("button", { name: "Revoke from the page" }).waitFor({ state: "detached" });
    assert.equal((await ask("/api/v1/config/export", made)).status, 401);

    await page.goto(`${base}/ui/maintain?tab=audit`);
    await page.getByLabel("Object or detail").fill("from the page");
    await page.locator("main tbody").getByText("token.revoke").first().waitFor();
  });

  await checkWith("/api/v1/users", "users: added, given another role, deleted by name", {}, async (page, seen) => {
    seen.allow(/status of 4(0[14]|22)/);
    await signIn(page);
    await page.goto(`${base}/ui/settings/access?tab=users`);
    await page.getByRole("button", { name: "New user" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("page_eva");
    await dialog.getByLabel("Password").fill("short");
    await dialog.getByRole("button", { name: "Add the user" }).click();
    await dialog.getByText(/fewer than 10 characters/).first().waitFor();
    await axe(page);
    await dialog.getByLabel("Password").fill("a long password");
    await page.keyboard.press("Enter");
    const row = page.locator("[data-key=page_eva]");
    await row.getByText("viewer").waitFor();
    await page.getByRole("button", { name: "Change the role of page_eva" }).click();
    await dialog.getByLabel("Role").selectOption("operator");
    await dialog.getByRole("button", { name: "Save" }).click();
    await row.getByText("operator").waitFor();
    await page.getByRole("button", { name: "Delete page_eva" }).click();
    const sure = dialog.getByRole("button", { name: "Delete", exact: true });
    assert.equal(await sure.isDisabled(), true);
    await dialog.getByLabel(/^Type/).fill("page_eva");
    await sure.click();
    await row.waitFor({ state: "detached" });
  });

  await checkWith("/api/v1/backups", "backup: made, verified, its restore seen, deleted", {}, async (page, seen) => {
    seen.allow(/status of 40[14]/);
    await signIn(page);
    await page.goto(`${base}/ui/maintain`);
    await page.getByRole("button", { name: "Back up now" }).click();
    await page.getByText(/^The backup .* is made/).waitFor();
    const { items } = await (await ask("/api/v1/backups")).json();
    const { id } = items[0];
    const deleting = page.getByRole("button", { name: `Delete ${id}` });
    const place = async () => (await deleting.boundingBox())?.x;
    const before = await place();
    await page.getByRole("button", { name: `Verify ${id}` }).click();
    assert.equal(await place(), before, "a press moves no button");
    const dialog = page.getByRole("dialog");
    await dialog.getByText("It is whole.").waitFor();
    await axe(page);
    await dialog.getByRole("button", { name: "Close" }).last().click();
    await page.getByRole("button", { name: `Restore ${id}` }).click();
    await dialog.getByRole("button", { name: "Restore it" }).click();
    const sure = dialog.getByRole("button", { name: "Restore it" }).last();
    assert.equal(await sure.isDisabled(), true, "nothing is restored before the word is typed");
    await dialog.getByRole("button", { name: "Cancel" }).last().click();
    await page.waitForFunction(() => document.querySelectorAll("dialog[open]").length === 1);
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.querySelector("dialog[open]") === null);
    await page.getByRole("button", { name: `Delete ${id}` }).click();
    await dialog.getByRole("button", { name: "Delete", exact: true }).click();
    await page.locator(`[data-key="${id}"]`).waitFor({ state: "detached" });

    await page.getByRole("tab", { name: "Store" }).click();
    await page.getByRole("button", { name: "Compact" }).click();
    await dialog.getByRole("button", { name: "Compact" }).click();
    await page.getByText(/gained in/).waitFor();
  });

  await check("API: found, tried, with the line for a shell", {}, async (page) => {
    await page.goto(`${base}/ui/api`);
    await page.getByLabel("Path or words").fill("system/workers");
    await page.getByRole("link", { name: "GET /api/v1/system/workers" }).click();
    await page.getByLabel("limit").fill("2");
    await page.getByText(/workers\?limit=2'/).waitFor();
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByRole("status").getByText(/"items"/).waitFor();
    await axe(page);
  });

  await check("a page whose script does not come says so", {}, async (page, seen) => {
    seen.allow(/ERR_FAILED/);
    await page.goto(`${base}/ui/`);
    await page.locator("[data-live=live]").waitFor();
    await page.route("**/ui/assets/*", (route) => route.abort());
    await page.getByRole("link", { name: "Guide" }).click();
    await page.getByRole("alert").waitFor();
    await axe(page);
    await page.unroute("**/ui/assets/*");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("heading", { name: "Getting started" }).waitFor();
  });

  await check("guide: every page, by its links", {}, async (page) => {
    await page.goto(`${base}/ui/help`);
    const links = page.getByRole("navigation", { name: "Guide" }).getByRole("link");
    for (const title of await links.allTextContents()) {
      await page.getByRole("navigation", { name: "Guide" }).getByRole("link", { name: title }).click();
      await page.getByRole("heading", { level: 2, name: title }).waitFor();
    }
    await axe(page);
  });

  // Last, for then there is something on them.
  await looks(ctx, PAGES.filter(({ needs }) => needs === undefined || needs in paths), async (page, seen) => {
    seen.allow(/status of 40[14]/);
    await signIn(page);
  });
}
