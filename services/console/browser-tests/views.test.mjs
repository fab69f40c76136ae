// Faults, load, keyspace and shop, and every button on them.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { api, open, press, products, quit, show, until } from "./page.mjs";

after(quit);

test("a fault begins, counts down, is seen, and ends by itself", async () => {
  const { page, close } = await open("faults");
  const card = page.locator("[data-fault=redis-frozen]");
  await card.waitFor();
  assert.equal(await page.locator("[data-fault]").count(), 8);
  await page.locator("#cause-redis-frozen").click();
  // In one step: the fault may end between two looks.
  const whileActive = () => card.evaluate((it) => it.dataset.active === "true" && it.innerText);
  assert.match(await until("the fault to begin", whileActive), /ends in [\d.]+ s/);
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
  // Fewer trials than a visitor gets: the checker and the benchmark run thousands.
  await page.route("**/actions/race", (route) => route.continue({ postData: JSON.stringify({ trials: 10 }) }));
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

test("a removed entry is gone, and all entries with a tag go together", async () => {
  const ids = await products();
  // The console reads only the seven products of the board, so this entry stays away.
  const other = (await api("product-api/products?limit=50")).json;
  const list = Array.isArray(other) ? other : other.products ?? other.items;
  const id = list.map((it) => it.id).find((it) => !Object.values(ids).includes(it));
  const key = `product:tags:${id}`;
  const fill = async () => until("the entry", async () => {
    await api(`product-api/products/tags/${id}`);
    return (await api(`product-api/cache/stats/${key}`)).status === 200;
  });
  const { page, close } = await open("keyspace");
  const report = page.locator("#keyspace-report");
  const row = page.locator(`tr[data-key="${key}"]`);
  const openRow = async () => {
    await page.locator("#keyspace-filter").fill(key);
    await until("its row", async () => {
      await fill();
      await press(page, "look-up");
      return (await row.count()) === 1;
    });
    if ((await page.locator(`tr[data-details="${key}"]`).count()) === 0) await row.getByRole("button").first().click();
  };
  await openRow();
  await press(page, "remove-entry");
  await report.filter({ hasText: /1 entry was invalidated \(removed\)|deferred/ }).waitFor();
  await until("the removal", async () => (await api(`product-api/cache/stats/${key}`)).status === 404);
  await until("its row to disappear", async () => {
    // The page read its entries again at once; if the removal was deferred, that was too early.
    if ((await row.count()) > 0) await press(page, "reload-entries");
    return (await row.count()) === 0;
  });
  await openRow();
  await page.locator(`li[data-tag="product:${id}"]`).getByRole("button", { name: "Remove all with this tag" }).click();
  await report.filter({ hasText: new RegExp(`^Tag product:${id}: `) }).waitFor();
  await until("the removal by its tag", async () => (await api(`product-api/cache/stats/${key}`)).status === 404);
  await close();
});

test("the keyspace is read again by itself after a failure", async () => {
  const { page, close } = await open();
  await page.route("**/api/product-api/cache/entries*", (route) => route.fulfill({ status: 503, json: { error: "redis_unavailable" } }), { times: 1 });
  await show(page, "keyspace");
  await page.locator("[role=alert]").waitFor();
  assert.doesNotMatch(await page.locator("#entries-count").innerText(), /no others/);
  await page.locator("#entries tr[data-key]").first().waitFor();
  assert.equal(await page.locator("[role=alert]").count(), 0);
  // The same when entries are shown already: they may be those of before.
  await page.route("**/api/product-api/cache/entries*", (route) => route.fulfill({ status: 503, json: { error: "redis_unavailable" } }), { times: 1 });
  await press(page, "reload-entries");
  await page.locator("[role=alert]").waitFor();
  await page.locator("[role=alert]").waitFor({ state: "detached" });
  assert.ok((await page.locator("#entries tr[data-key]").count()) > 0);
  await close();
});

test("the keyspace is read page by page, and a reload keeps the pages", async () => {
  const { page, close } = await open("keyspace");
  const rows = page.locator("#entries tr[data-key]");
  await rows.first().waitFor();
  const more = page.locator("#more-entries");
  if ((await more.count()) > 0) {
    const before = await rows.count();
    await until("more entries", async () => {
      await press(page, "more-entries");
      return (await rows.count()) > before;
    });
  }
  const loaded = await rows.count();
  await press(page, "reload-entries");
  assert.ok((await rows.count()) >= Math.min(loaded, 50), "a reload keeps what was loaded");
  await page.locator("#keyspace-filter").fill("no such key");
  await until("no entry", async () => (await rows.count()) === 0);
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
  const lines = page.locator("#shop-watch li");
  await until("the new price everywhere", async () => {
    const texts = await lines.allInnerTexts();
    return texts.length === 3 && texts.every((line) => /the new price after|does not show/.test(line));
  });
  assert.equal(await page.locator('#shop-watch [data-block="product page"]').getAttribute("data-new"), "true");
  assert.match(await page.locator("#token-note").innerText(), /token of your last write/);
  await page.locator("#shop-beside [data-served]").waitFor();
  await page.locator("#shop-beside li button, #shop-beside p").first().waitFor();
  await close();
});
