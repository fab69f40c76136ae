// The page for every visitor: keyboard, small screens, dark and light mode, reduced motion, axe; and under load.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { CONSOLE, VIEWS, atRest, findings, makeStale, open, quit, until } from "./page.mjs";

after(quit);

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing serious in any view in ${colorScheme} mode`, async () => {
    const { page, close } = await open("board", { colorScheme });
    await atRest(page);
    for (const view of VIEWS) {
      await page.goto(`${CONSOLE}/#${view}`);
      await page.locator(`nav a[href="#${view}"][aria-current=page]`).waitFor();
      await page.locator("main h2, main table, main section").first().waitFor();
      assert.deepEqual(await findings(page), [], view);
    }
    if (colorScheme === "dark" && process.env.SCREENSHOTS) {
      await page.goto(`${CONSOLE}/#board`);
      await makeStale(page);
      await page.screenshot({ path: `${process.env.SCREENSHOTS}/board-dark.png` });
    }
    await close();
  });
}

test("no view is wider than a small screen", async () => {
  const { page, close } = await open("board", { viewport: { width: 375, height: 800 } });
  await atRest(page);
  for (const view of [...VIEWS, "tour=events&step=3"]) {
    await page.goto(`${CONSOLE}/#${view}`);
    await page.locator("main section, main table").first().waitFor();
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 375, `${view} is ${width} px wide`);
  }
  await close();
});

test("the keyboard reaches and presses everything", async () => {
  const { page, close } = await open();
  await atRest(page);
  /** @type {string[]} */
  const reached = [];
  for (let tabs = 0; tabs < 60 && !reached.includes("reset"); tabs += 1) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => {
      const element = document.activeElement;
      const ring = element ? getComputedStyle(element).outlineStyle : "none";
      return { id: element?.id ?? "", ring };
    });
    if (focused.id) reached.push(focused.id);
    if (focused.id) assert.notEqual(focused.ring, "none", `the focus on ${focused.id} is visible`);
  }
  for (const id of ["record", "theme", "change-price", "change-ten", "sql-write", "rename-category", "reset"]) {
    assert.ok(reached.includes(id), `${id} is reached: ${reached.join(", ")}`);
  }
  await makeStale(page, async () => {
    await page.locator("#change-price").focus();
    await page.keyboard.press("Enter");
  });
  await page.locator("#theme").focus();
  await page.keyboard.press("Space");
  await until("the dark mode", async () => (await page.evaluate(() => document.documentElement.dataset.theme)) === "dark");
  await close();
});

test("the page keeps up with 200 events in a second, and its memory stays bounded", async () => {
  const { page, close } = await open("board", { reducedMotion: "reduce" });
  await atRest(page);
  await fetch(`${CONSOLE}/load`, { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ rate: 400, mix: 0.5, skew: 0.9 }) });
  try {
    const seconds = Number(process.env.LOAD_SECONDS ?? 15);
    const { frames, records } = await page.evaluate(async (length) => {
      const { onRecords } = await import("/assets/live.js");
      let [frames, records] = [0, 0];
      const off = onRecords((/** @type {any[]} */ some) => { records += some.length; });
      const end = performance.now() + length * 1000;
      await new Promise((resolve) => {
        const frame = () => {
          frames += 1;
          if (performance.now() < end) requestAnimationFrame(frame);
          else resolve(undefined);
        };
        requestAnimationFrame(frame);
      });
      off();
      return { frames, records };
    }, seconds);
    console.log(`# ${(frames / seconds).toFixed(1)} frames and ${(records / seconds).toFixed(0)} records in a second, for ${seconds} s`);
    // What the page keeps is bounded.
    const kept = await page.evaluate(async () => {
      const { state } = await import("/assets/live.js");
      return { feed: state.feed.length, reads: state.reads.length, published: state.published.length, changes: state.changes.length, figures: state.figures.length };
    });
    assert.ok(kept.feed <= 1000 && kept.reads <= 600 && kept.published <= 200 && kept.changes <= 40 && kept.figures <= 120, JSON.stringify(kept));
    assert.ok(records > 0 && frames > seconds, "the page is alive");
  } finally {
    await fetch(`${CONSOLE}/load`, { method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ rate: 0, mix: 0, skew: 0 }) });
  }
  await close();
});
