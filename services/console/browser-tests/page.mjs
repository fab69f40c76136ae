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

/** Collects what the browser reports as an error. */
export function collectErrors(page) {
  /** @type {string[]} */
  const errors = [];
  page.on("console", (message) => {
    const { url } = message.location();
    // The page shows why a service or an action refused a request, and the test of that expects it.
    const isRefusal = message.text().startsWith("Failed to load resource") && /\/(api|actions|faults|load)\b|\/live$/.test(url);
    if (message.type() === "error" && !isRefusal) errors.push(`${message.text()} (${url})`);
  });
  page.on("pageerror", (error) => errors.push(error.stack ?? error.message));
  return errors;
}

/** Opens the console in a page of its own; `close` fails the test when the browser has reported an error. */
export async function open(view = "board", options = {}) {
  const opened = await openFile(`${CONSOLE}/#${view}`, options);
  await opened.page.waitForSelector("nav a[aria-current=page]");
  return opened;
}

/** Opens an address in a context of its own. */
export async function openFile(address, options = {}) {
  browser ??= await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--js-flags=--expose-gc"],
  });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(SOON);
  const errors = collectErrors(page);
  await page.goto(address);
  return { page, errors, close: async () => {
    await context.close();
    assert.deepEqual(errors, [], "the browser reports no errors");
  } };
}

/** Shows another view, and waits until it is there. */
export async function show(page, view) {
  await page.evaluate((hash) => { location.hash = hash; }, view);
  const name = view.startsWith("tour") ? "" : `[href="#${view.split("=")[0]}"]`;
  await page.locator(`nav a${name}[aria-current=page]`).waitFor();
  await page.locator("main section, main table").first().waitFor();
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

/**
 * Changes the prices until Redis acknowledges each invalidation at once, and returns the writes of that change. On a busy
 * machine Redis may answer too late; the write then reports `deferred`, and promises nothing about the next read.
 */
export async function changeAcknowledged(page) {
  return until("a change whose invalidations are acknowledged", async () => {
    const answer = page.waitForResponse((it) => it.url().endsWith("/actions/change-price"));
    await press(page, "change-price");
    const { writes } = await (await answer).json();
    const isAcknowledged = (write) => ["invalidated", "stored"].includes(write.detail);
    return writes.filter((it) => NEVER_STALE.includes(it.strategy)).every(isAcknowledged) && writes;
  });
}

/** The products of the board: one for each strategy. */
export async function products() {
  return until("the products", async () => {
    const { products: all } = await (await fetch(`${CONSOLE}/config.json`)).json();
    return all.length === 7 && Object.fromEntries(all.map((it) => [it.strategy, it.id]));
  });
}

/** The processes of the product API that the stack has. */
export async function productApis() {
  const { services } = await (await fetch(`${CONSOLE}/config.json`)).json();
  return services.map((it) => it.name).filter((name) => name.startsWith("product-api"));
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
  // In one step: the button may disappear with its action.
  await until(`${id} to end`, () => button.evaluateAll((found) => found.every((it) => it.getAttribute("aria-busy") !== "true")));
}
