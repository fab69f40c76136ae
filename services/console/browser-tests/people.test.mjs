// The page for every visitor: keyboard, small screens, dark and light mode, reduced motion, and axe.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { VIEWS, findings, makeStale, open, quit, show, until } from "./page.mjs";

after(quit);

const TOUR = "tour=events&step=3";
const FOCUSABLE = 'a[href], button:not(:disabled), input:not(:disabled), select, summary, [tabindex="0"]';

/** Opens the page, and waits for the first cells. */
async function live(options) {
  const opened = await open("board", options);
  await opened.page.waitForSelector("td[data-column=redis]");
  return opened;
}

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing serious in any view in ${colorScheme} mode`, async () => {
    const { page, close } = await live({ colorScheme });
    for (const view of [...VIEWS, TOUR]) {
      await show(page, view);
      assert.deepEqual(await findings(page), [], view);
    }
    if (colorScheme === "dark" && process.env.SCREENSHOTS) {
      await show(page, "board");
      await makeStale(page);
      await page.screenshot({ path: `${process.env.SCREENSHOTS}/board-dark.png` });
    }
    await close();
  });
}

test("no view is wider than a small screen", async () => {
  const { page, close } = await live({ viewport: { width: 375, height: 800 } });
  for (const view of [...VIEWS, TOUR]) {
    await show(page, view);
    const { width, widest } = await page.evaluate(() => {
      const all = [...document.querySelectorAll("main *")].filter((it) => it.getBoundingClientRect().right > 376 && !it.closest(".scroll, pre, svg, .history-chart"));
      return { width: document.documentElement.scrollWidth, widest: all[0]?.outerHTML.slice(0, 120) };
    });
    assert.ok(width <= 375, `${view} is ${width} px wide: ${widest}`);
  }
  await close();
});

/** Presses Tab until every control has had the focus; returns those that had none, and those without a visible focus. */
async function tabThrough(page) {
  const count = await page.evaluate((selector) => {
    window.waiting = new Set([...document.querySelectorAll(selector)].filter((it) => it.checkVisibility({ checkVisibilityCSS: true }) && it.tabIndex >= 0));
    document.getElementById("main").blur();
    return window.waiting.size;
  }, FOCUSABLE);
  /** @type {string[]} */
  const unmarked = [];
  for (let presses = 0; presses < count + 20; presses += 1) {
    await page.keyboard.press("Tab");
    const { left, mark } = await page.evaluate(() => {
      const element = /** @type {HTMLElement} */ (document.activeElement);
      const isNew = window.waiting.delete(element);
      const { outlineStyle, boxShadow } = getComputedStyle(element);
      const isMarked = element.matches(":focus-visible") && (outlineStyle !== "none" || boxShadow !== "none");
      return { left: window.waiting.size, mark: isNew && !isMarked ? element.outerHTML.slice(0, 100) : "" };
    });
    if (mark) unmarked.push(mark);
    if (left === 0) break;
  }
  const missed = await page.evaluate((selector) => [...window.waiting].filter((it) => it.isConnected && it.matches(selector)).map((it) => it.outerHTML.slice(0, 100)), FOCUSABLE);
  return { count, missed, unmarked };
}

test("keyboard reaches every control of every view", async () => {
  const { page, close } = await live();
  for (const view of [...VIEWS, TOUR]) {
    await page.reload();
    await page.waitForSelector("nav a[aria-current=page]");
    await show(page, view);
    const { count, missed, unmarked } = await tabThrough(page);
    assert.ok(count > 10, `${view} has ${count} controls`);
    assert.deepEqual(missed, [], `${view}: Tab reaches every control`);
    assert.deepEqual(unmarked, [], `${view}: the focus is visible`);
  }
  await close();
});

test("keyboard presses the buttons", async () => {
  const { page, close } = await live();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
  await makeStale(page, async () => {
    await page.locator("#change-price").focus();
    await page.keyboard.press("Enter");
  });
  await page.locator("#theme").focus();
  await page.keyboard.press("Space");
  await until("the dark mode", async () => (await page.evaluate(() => document.documentElement.dataset.theme)) === "dark");
  await page.keyboard.press("Space");
  await until("the light mode", async () => (await page.evaluate(() => document.documentElement.dataset.theme)) === "light");
  await close();
});

test("state is shown by a word and a mark", async () => {
  const { page, close } = await live();
  for (const cell of await page.locator("td[data-state]").all()) {
    const [state, text] = [await cell.getAttribute("data-state"), await cell.innerText()];
    if (text.trim()) assert.match(text, /[●▲○◐◑?]\s*(fresh|stale|absent|loading|refreshing|unknown)/, state ?? "");
  }
  await close();
});

test("nothing moves with reduced motion", async () => {
  const { page, close } = await live({ reducedMotion: "reduce" });
  for (const view of [...VIEWS, TOUR]) {
    await show(page, view);
    const running = await page.evaluate(() => document.getAnimations().map((it) => /** @type {any} */ (it).animationName ?? it.constructor.name));
    assert.deepEqual(running, [], view);
  }
  await close();
});
