// The board, the timeline and the plots, after real writes.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { NEVER_STALE, STRATEGIES, api, atRest, changeAcknowledged, makeStale, open, press, productApis, products, quit, until, untilCell } from "./page.mjs";

after(quit);

test("the page is live within a second of loading", async () => {
  const { page, close } = await open();
  // From the navigation on: the browser's own clock.
  await page.waitForSelector("td[data-column=redis]");
  const shown = await page.evaluate(() => performance.now());
  console.log(`# the first cells were shown ${Math.round(shown)} ms after the navigation began`);
  await atRest(page);
  await close();
});

test("a change of the price makes copies stale by strategy, and the board agrees with the services", async () => {
  const { page, close } = await open();
  await atRest(page);
  const ids = await products();
  await makeStale(page, () => changeAcknowledged(page));
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/board-light.png` });
  // Never stale: what Redis holds now was loaded after the write, or is gone.
  for (const strategy of NEVER_STALE) {
    const truth = (await api(`product-api/products/${ids[strategy]}`)).json;
    const entry = await api(`product-api/cache/stats/product:${strategy}:${ids[strategy]}`);
    assert.ok(entry.status === 404 || entry.json.state === "leased" || entry.json.version === truth.version, strategy);
    await untilCell(page, strategy, "redis", "fresh");
  }
  await untilCell(page, "ttl", "redis", "fresh");
  const answer = await page.locator("#answer").innerText();
  assert.match(answer, /^Latest change: TTL was stale for [\d,]+ ms/);
  assert.match(answer, /; [4-6] others never after the response/);
  // A page that opens later shows the latest change as well.
  await page.reload();
  await until("the same answer after a reload", async () => /^Latest change: TTL was stale for [\d,]+ ms/.test(await page.locator("#answer").innerText()));
  await untilCell(page, "ttl", "redis", "fresh");
  await page.locator("#why").click();
  const cell = page.locator('td[data-strategy=ttl][data-column=redis]').first();
  assert.match(await cell.innerText(), /stale for [\d,.]+ (ms|s)/);
  // The versions on the board are those of the database.
  for (const strategy of STRATEGIES) {
    const truth = (await api(`product-api/products/${ids[strategy]}`)).json;
    const row = page.locator("tr", { has: page.locator(`td[data-strategy="${strategy}"]`) }).first();
    assert.ok((await row.innerText()).includes(`v${truth.version}`), `${strategy} shows version ${truth.version}`);
  }
  const summary = await page.locator("main").innerText();
  assert.match(summary, /stale/i, "the latest change is explained");
  await close();
});

test("no read after the response to a change is stale with the strategies that invalidate", async () => {
  const { page, close } = await open();
  await atRest(page);
  const writes = await changeAcknowledged(page);
  assert.deepEqual(writes.map((it) => it.strategy).sort(), [...STRATEGIES].sort());
  for (const { strategy, product_id: id, version, status } of writes) {
    assert.equal(status, 200, strategy);
    if (!NEVER_STALE.includes(strategy)) continue;
    for (const process of await productApis()) {
      const read = await api(`${process}/products/${strategy}/${id}`);
      assert.ok(read.json.version >= version, `${process} returns version ${read.json.version} of ${strategy} after version ${version}`);
    }
  }
  // Nor has the console's own reader received an old version since.
  const rows = page.locator(".last tr");
  await until("the summary of this change", async () => (await rows.count()) >= STRATEGIES.length);
  await close();
});

test("near caches of the board are those that the processes report", async () => {
  const { page, close } = await open();
  await atRest(page);
  const ids = await products();
  const all = await productApis();
  for (const [index, process] of all.entries()) {
    await until(`the near cache of ${process}`, async () => {
      const held = await api(`${process}/cache/near/product:production:${ids.production}`);
      const cell = await page.locator(`td[data-strategy=production][data-column=near-${index + 1}]`).innerText();
      return held.status === 404 ? /absent/.test(cell) : cell.includes(`v${held.json.version}`);
    });
  }
  assert.equal(await page.locator('td[data-strategy=production][data-column^="near-"]').count(), all.length);
  await close();
});

test("an SQL write reaches the strategies that follow events, and reset restores the prices", async () => {
  const { page, close } = await open();
  await atRest(page);
  const ids = await products();
  const price = async () => (await api(`product-api/products/${ids.explicit}`)).json.price_cents;
  const before = await price();
  await press(page, "sql-write");
  assert.equal(await price(), before + 100);
  await untilCell(page, "explicit", "redis", "stale");
  await untilCell(page, "tags", "redis", "fresh");
  await press(page, "change-price");
  await untilCell(page, "explicit", "redis", "fresh");
  await press(page, "reset");
  await atRest(page);
  await close();
});

test("a renamed category is shown, and its second change gives the name back", async () => {
  const { page, close } = await open();
  await atRest(page);
  const ids = await products();
  const name = async () => (await api(`product-api/products/${ids.tags}`)).json.category.name;
  const before = await name();
  await press(page, "rename-category");
  await until("the new name in the database", async () => (await name()) !== before);
  await until("the new name on the page", async () => (await page.locator("main").innerText()).includes(await name()));
  await press(page, "rename-category");
  await until("the old name", async () => (await name()) === before);
  await close();
});

test("ten changes are made, and the timeline shows the way of each to its readers", async () => {
  const { page, close } = await open();
  await atRest(page);
  const ids = await products();
  const version = async () => (await api(`product-api/products/${ids.production}`)).json.version;
  const before = await version();
  await press(page, "change-ten");
  assert.equal(await version(), before + 10);
  await page.goto(`${page.url().split("#")[0]}#timeline`);
  await until("the steps of a write", async () => {
    const text = await page.locator("main").innerText();
    return ["COMMIT", "cart", "search", "recommendation"].every((word) => text.includes(word));
  });
  await close();
});

test("plots show figures, and copy them as CSV", async () => {
  const { page, close } = await open("plots", { permissions: ["clipboard-read", "clipboard-write"] });
  await until("four plots", async () => (await page.locator(".u-wrap").count()) >= 4);
  const copy = page.getByRole("button", { name: /copy as csv/i }).first();
  await until("a row of figures", async () => {
    await copy.click();
    const text = await page.evaluate(() => navigator.clipboard.readText());
    return text.includes(",") && text.trim().split("\n").length > 1;
  });
  await close();
});

test("banners say what is missing while a service or the console is away, and the stream resumes", { skip: !process.env.STACK_SCRIPT }, async () => {
  const stack = (...words) => promisify(execFile)(process.env.STACK_SCRIPT, words);
  const { page, close } = await open();
  await atRest(page);
  const banner = page.locator(".banner");
  for (const [name, text] of [["cart", "cart does not answer"], ["console", "The console does not answer"]]) {
    await stack("stop", name);
    await banner.filter({ hasText: text }).waitFor();
    assert.match(await banner.innerText(), /make up/);
    await stack("start", name);
    await banner.filter({ hasText: text }).waitFor({ state: "detached" });
  }
  await press(page, "change-price");
  await untilCell(page, "explicit", "redis", "fresh");
  await close();
});
