// A page of the console in a real browser, and what the tests ask the services beside it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

export const CONSOLE = process.env.CONSOLE_URL ?? "http://127.0.0.1:8000";
/** How long an effect may take on a busy machine, in ms. */
export const SOON = 60_000;
export const STRATEGIES = ["ttl", "explicit", "writethrough", "events", "swr", "tags", "production"];
/** The strategies whose writers leave nothing stale. */
export const NEVER_STALE = ["explicit", "writethrough", "tags", "production"];
export const VIEWS = ["board", "timeline", "plots", "faults", "load", "keyspace", "shop", "explain", "history"];

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
/** @type {import("playwright-core").Browser|undefined} */
let browser;

/** Opens the console in a page of its own, which fails its test when the browser reports an error. */
export async function open(view = "board", options = {}) {
  browser ??= await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(SOON);
  /** @type {string[]} */
  const errors = [];
  page.on("console", (message) => {
    // A refused request is reported by the browser as well; the page shows it, and its test expects it.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(`${CONSOLE}/#${view}`);
  await page.waitForSelector("nav a[aria-current=page]");
  return { page, errors, close: async () => {
    await context.close();
    assert.deepEqual(errors, [], "the browser reports no errors");
  } };
}

/** Ends the browser. */
export async function quit() {
  await browser?.close();
  browser = undefined;
}

/** The JSON of a route of a service. */
export async function api(path, options) {
  const answer = await fetch(`${CONSOLE}/api/${path}`, options);
  return { status: answer.status, json: await answer.json().catch(() => null) };
}

/** Waits until `ask` returns something. */
export async function until(what, ask) {
  const deadline = Date.now() + SOON;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    assert.ok(Date.now() < deadline, `waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The state that a cell of the board shows. */
export const stateOf = (page, strategy, column) =>
  page.locator(`td[data-strategy="${strategy}"][data-column="${column}"]`).first().getAttribute("data-state");

/** Waits until a cell of the board shows a state. */
export const untilCell = (page, strategy, column, state) =>
  until(`${strategy} in ${column} to be ${state}`, async () => (await stateOf(page, strategy, column)) === state);

/** Waits until every copy in Redis is fresh: the board is at rest. */
export async function atRest(page) {
  for (const strategy of STRATEGIES) {
    await until(`${strategy} to be fresh`, async () => ["fresh", "refreshing"].includes(await stateOf(page, strategy, "redis")));
  }
}

/**
 * Changes the price until a copy of ttl is stale. Its entry may end at the very moment of a change, and is fresh then.
 * @param {() => Promise<void>} change
 */
export async function makeStale(page, change = () => press(page, "change-price")) {
  await until("a stale copy of ttl", async () => {
    await change();
    for (let looks = 0; looks < 40; looks += 1) {
      if ((await stateOf(page, "ttl", "redis")) === "stale") return true;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return false;
  });
}

/** The products of the board: one for each strategy. */
export async function products() {
  return until("the products", async () => {
    const { products: all } = await (await fetch(`${CONSOLE}/config.json`)).json();
    return all.length === 7 && Object.fromEntries(all.map((it) => [it.strategy, it.id]));
  });
}

/** The serious findings of axe-core. */
export async function findings(page) {
  await page.evaluate(await readFile(AXE, "utf8"));
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter((it) => ["serious", "critical"].includes(it.impact));
  return serious.map((it) => `${it.id}: ${it.help} (${it.nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ")})`);
}

/** Presses a button, and waits until its action has ended. */
export async function press(page, id) {
  const button = page.locator(`#${id}`);
  await button.click();
  await until(`${id} to end`, async () => (await button.count()) === 0 || (await button.getAttribute("aria-busy")) !== "true");
}
