// Every other view, and every button on it.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { CONSOLE, STRATEGIES, api, atRest, open, press, products, quit, until } from "./page.mjs";

after(quit);

test("a fault begins, counts down, is seen, and ends by itself", async () => {
  const { page, close } = await open("faults");
  const card = page.locator("[data-fault=redis-frozen]");
  await card.waitFor();
  assert.equal(await page.locator("[data-fault]").count(), 8);
  await page.locator("#cause-redis-frozen").click();
  await until("the fault to begin", async () => (await card.getAttribute("data-active")) === "true");
  assert.match(await card.innerText(), /ends in [\d.]+ s/);
  await until("the fault to end", async () => (await card.getAttribute("data-active")) === "false");
  await until("its effect to be seen", async () => (await card.locator(".seen").getAttribute("data-seen")) === "true");
  // Another one is ended before its time.
  const late = page.locator("[data-fault=events-late]");
  await page.locator("#cause-events-late").click();
  await until("the second fault to begin", async () => (await late.getAttribute("data-active")) === "true");
  await page.locator("#faults-change-price").click();
  await page.locator("#end-events-late").click();
  await until("the second fault to end", async () => (await late.getAttribute("data-active")) === "false");
  await close();
});

test("load runs until it is stopped, and its reads are counted by source", async () => {
  const { page, close } = await open("load");
  await page.locator("#rate").fill("150");
  await press(page, "start-load");
  const status = page.locator("#load-state");
  await until("the load to run", async () => (await status.getAttribute("data-running")) === "true");
  await until("its reads", async () => Number((await page.locator("tr[data-strategy=production] td.number").first().innerText()).replace(",", "")) > 5);
  await press(page, "stop-load");
  await until("the load to end", async () => (await status.getAttribute("data-running")) === "false");
  await close();
});

test("the stampede loads once with production, and often with naive cache-aside", async () => {
  const { page, close } = await open("load");
  const loads = async (name) => Number(await page.locator(`#stampede-result tr[data-name="${name}"]`).getAttribute("data-loads"));
  // On a machine that is too busy for Redis, readers bypass the cache: then the experiment is repeated.
  await until("fewer loads than with naive cache-aside", async () => {
    await page.locator("#run-stampede:not([disabled])").waitFor();
    await press(page, "run-stampede");
    await page.locator("#run-stampede:not([disabled])").waitFor();
    await page.locator("#stampede-result").waitFor();
    return (await loads("production")) < (await loads("naive cache-aside"));
  });
  await close();
});

test("no entry of ours is stale after the race", async () => {
  const { page, close } = await open("load");
  await press(page, "run-race");
  await page.locator("#race-result").waitFor({ timeout: 300_000 });
  for (const name of ["explicit", "writethrough", "tags", "production"]) {
    assert.equal(await page.locator(`#race-result tr[data-name="${name}"]`).getAttribute("data-stale"), "0", name);
  }
  assert.equal(await page.locator('#race-result tr[data-name="naive cache-aside"]').count(), 1);
  await close();
});

test("an entry is found, looked up, marked as stale and removed", async () => {
  const ids = await products();
  const key = `product:explicit:${ids.explicit}`;
  const { page, close } = await open("keyspace");
  await page.locator("#keyspace-filter").fill(key);
  const row = page.locator(`tr[data-key="${key}"]`);
  await until("the entry", async () => {
    await press(page, "look-up");
    return (await row.count()) === 1;
  });
  await row.getByRole("button").first().click();
  await press(page, "expire-entry");
  await until("a report", async () => /invalidated|deferred/.test(await page.locator("#keyspace-report").innerText()));
  const age = async () => (await api(`product-api/cache/stats/${key}`)).json?.age_ms ?? 0;
  const before = await age();
  if ((await row.count()) === 0) await press(page, "look-up");
  if ((await page.locator("#remove-entry").count()) === 0) await row.getByRole("button").first().click();
  await press(page, "remove-entry");
  // The console reads the product twice a second, so it is soon there again, and younger.
  await until("another entry", async () => (await api(`product-api/cache/stats/${key}`)).status === 404 || (await age()) < before + 1);
  for (const service of ["cart", "search", "recommendation"]) {
    await page.locator("#keyspace-service").selectOption(service);
    await page.locator("#keyspace-filter").fill("");
    await until(`entries of ${service}`, async () => (await page.locator(`tr[data-key^="${service}:"]`).count()) > 0);
  }
  await close();
});

test("the shop finds, shows, sells and recommends, and a new price reaches every block", async () => {
  const { page, close } = await open("shop");
  await page.locator("#shop-query").fill("tent");
  const hit = page.locator("#shop-search [data-product]").first();
  await hit.waitFor();
  await hit.click();
  await page.locator("#add-to-cart").waitFor();
  await press(page, "add-to-cart");
  await page.locator("#shop-cart [data-line]").first().waitFor();
  for (const block of ["shop-search", "shop-product", "shop-cart"]) {
    await page.locator(`#${block} [data-served]`).first().waitFor();
  }
  await page.locator("#own-writes").check();
  await press(page, "change-this-price");
  await until("the new price everywhere", async () => {
    const lines = await page.locator("#shop-watch li").allInnerTexts();
    return lines.length === 3 && lines.every((line) => line.includes("the new price after") || line.includes("does not show"));
  });
  await close();
});

test("each strategy is explained with the code of its file", async () => {
  const { page, close } = await open("explain");
  for (const strategy of STRATEGIES) {
    await page.locator(`.tabs [data-strategy=${strategy}]`).click();
    await page.locator(`article[data-strategy=${strategy}]`).waitFor();
    const { code } = await (await fetch(`${CONSOLE}/explain/${strategy}`)).json();
    assert.equal((await page.locator("pre.code").innerText()).trimEnd(), code.trimEnd(), strategy);
    const text = await page.locator(`article[data-strategy=${strategy}]`).innerText();
    assert.ok(text.includes("Good for") && text.includes("Not for") && text.includes("Guarantee"), strategy);
  }
  await close();
});

test("every step of every tour has an address, and the arrow keys lead through", async () => {
  const { page, close } = await open("explain=tags");
  const tours = await (await fetch(`${CONSOLE}/assets/tour.json`)).json();
  assert.deepEqual(Object.keys(tours), STRATEGIES);
  for (const strategy of STRATEGIES) {
    assert.equal(tours[strategy].length, 7, strategy);
    for (let step = 1; step <= 7; step += 1) {
      await page.goto(`${CONSOLE}/#tour=${strategy}&step=${step}`);
      await until(`step ${step} of ${strategy}`, async () => (await page.locator(".tour").innerText().catch(() => "")).includes(tours[strategy][step - 1].title));
    }
  }
  await page.goto(`${CONSOLE}/#tour=events&step=1`);
  await page.locator(".tour[data-step='1']").waitFor();
  await page.keyboard.press("ArrowRight");
  await page.locator(".tour[data-step='2']").waitFor();
  assert.match(page.url(), /#tour=events&step=2$/);
  await press(page, "tour-action");
  await page.keyboard.press("Escape");
  await until("the tour to end", async () => (await page.locator(".tour").count()) === 0);
  await close();
});

test("the recorded violation is drawn, and a stale read is visible at a glance", async () => {
  const { page, close } = await open("history");
  await page.locator(".history .is-violation").first().waitFor();
  assert.match(await page.locator("#history-name").innerText(), /^Recording/);
  assert.ok((await page.locator("#violations tbody tr").count()) >= 1);
  for (const button of ["zoom-out", "zoom-in", "earlier", "later", "to-violation"]) await page.locator(`#${button}`).click();
  await page.locator(".history .is-violation").first().waitFor();
  // Floors: what each read has to reach.
  const floors = await page.evaluate(async () => {
    const { floors: of } = await import("/assets/history_log.js");
    const write = (end, version, acknowledged = true) => ({ kind: "write", begin: 0, end, version, acknowledged });
    return of([write(30, 2), write(10, 1), write(20, 3), write(40, 4, false)]);
  });
  assert.deepEqual(floors, [{ at: 10, version: 1 }, { at: 20, version: 3 }]);
  await close();
});

test("a recording plays offline, and says that it is one", async () => {
  const { page, close } = await open();
  await atRest(page);
  await page.locator("#record").click();
  await press(page, "change-price");
  await page.waitForFunction(() => document.querySelector("td[data-state=stale]"));
  const downloading = page.waitForEvent("download");
  await page.locator("#stop-recording").click();
  const folder = process.env.SCREENSHOTS ?? (await mkdtemp(join(tmpdir(), "console-")));
  const file = join(folder, "recording.html");
  await (await downloading).saveAs(file);
  await close();

  const { page: offline, errors, close: closeOffline } = await open();
  await offline.context().setOffline(true);
  await offline.goto(`file://${file}`);
  await offline.locator(".banner").filter({ hasText: "recording" }).waitFor();
  await offline.locator("#seek").waitFor();
  await until("the recorded stale copy", async () => {
    await offline.locator("#seek").evaluate((seek) => {
      seek.value = String(Number(seek.value) + 200);
      seek.dispatchEvent(new Event("input", { bubbles: true }));
    });
    return (await offline.locator("td[data-state=stale]").count()) > 0;
  });
  assert.deepEqual(errors, []);
  await closeOffline();
  if (!process.env.SCREENSHOTS) await rm(folder, { recursive: true });
});
