/** Pages as they are looked at: each in a narrow and a wide window, light and dark. */

import { join } from "node:path";

import { fitsTheWidth, shown } from "./checks.mjs";

export const WIDE = { width: 1280, height: 800 };
export const NARROW = { width: 360, height: 740 };
/** A page is made as high as it is, for charts draw only in sight, but not higher than this, px. */
const HIGHEST = 8000;

/**
 * Calls `each` with the name of every look of an open page. The page is loaded once, in a
 * narrow window as a phone does it, and then goes through the four looks.
 */
export async function everyLook(page, each) {
  for (const viewport of [NARROW, WIDE]) {
    await page.setViewportSize(viewport);
    await shown(page, "canvas, .spark");
    await fitsTheWidth(page);
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width: viewport.width, height: Math.min(Math.max(height, viewport.height), HIGHEST) });
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await shown(page, "canvas, .spark");
      await each(`${viewport.width}-${colorScheme}`, colorScheme);
    }
    await fitsTheWidth(page);
  }
}

/**
 * Looks at each of `pages`: `{ name, path, ready }` with a selector that is there when the
 * page shows what it is about. `before` is done first in the window, e.g. signing in.
 */
export async function looks({ base, check, axe, shots }, pages, before = async () => {}) {
  for (const { name, path, ready, allow } of pages) {
    await check(`${name}: both widths, light and dark`, { viewport: NARROW, colorScheme: "light" }, async (page, seen) => {
      if (allow) seen.allow(allow);
      await before(page, seen);
      await page.goto(base + path);
      await page.locator(ready).first().waitFor();
      await everyLook(page, async (look, colorScheme) => {
        // Only colours differ between the themes.
        await axe(page, colorScheme === "dark" ? ["color-contrast"] : undefined);
        if (shots) await page.screenshot({ path: join(shots, `${name}-${look}.png`) });
      });
    });
  }
}
