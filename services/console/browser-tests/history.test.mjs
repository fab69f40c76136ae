// The history of a violation: the recorded sample, and logs of a visitor.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { open, quit, until } from "./page.mjs";

after(quit);

const file = (name, ...lines) => ({ name, mimeType: "text/csv", buffer: Buffer.from(`${lines.join("\n")}\n`) });
const KEYS = file("keys.csv", "key,id,subject", '1,70,"ttl"', '2,71,"tags"');
const WRITES = file("writes.csv", "begin_ns,end_ns,key,session,node,source,number,version,acknowledged", "1000000,2000000,2,9,0,-,3,2,yes");
const reads = (...lines) => file("reads.csv", "begin_ns,end_ns,key,session,node,pattern,source,kept,flagged,number,version,floor,stale_ns,fault", ...lines);

/** The visible time, in ns. */
async function range(page) {
  const element = page.locator("#history-range");
  return [Number(await element.getAttribute("data-from")), Number(await element.getAttribute("data-to"))];
}

test("recorded violation is outlined and listed", async () => {
  const { page, close } = await open("history");
  const violation = page.locator(".history .is-violation");
  await violation.first().waitFor();
  assert.match(await page.locator("#history-name").innerText(), /^Recording/);
  assert.match(await page.locator("#violations tbody").innerText(), /stale: it shows version 4, but version 5 was acknowledged/);
  assert.match(await page.locator(".history").textContent(), /▼ shows v4, must show v5/);
  assert.ok((await page.locator(".history .floor").count()) >= 2, "the floor is drawn");
  await close();
});

test("history zooms and moves by buttons keyboard and pointer", async () => {
  const { page, close } = await open("history");
  await page.locator(".history .is-violation").first().waitFor();
  const length = async () => { const [from, to] = await range(page); return to - from; };
  const changes = async (what, act, isRight) => {
    const [before, wide] = [await range(page), await length()];
    await act();
    await until(what, async () => isRight(await range(page), before, (await length()) / wide));
  };
  const shorter = (now, before, ratio) => ratio < 0.75;
  const longer = (now, before, ratio) => ratio > 1.2;
  await changes("the button to zoom in", () => page.locator("#zoom-in").click(), shorter);
  await changes("the button to move on", () => page.locator("#later").click(), ([from], [before]) => from > before);
  await changes("the button to move back", () => page.locator("#earlier").click(), ([from], [before]) => from < before);
  await changes("the button to zoom out", () => page.locator("#zoom-out").click(), longer);
  await page.locator("#history-chart").focus();
  await changes("the plus key", () => page.keyboard.press("+"), shorter);
  await changes("the right arrow key", () => page.keyboard.press("ArrowRight"), ([from], [before]) => from > before);
  await changes("the left arrow key", () => page.keyboard.press("ArrowLeft"), ([from], [before]) => from < before);
  await changes("the minus key", () => page.keyboard.press("-"), longer);
  await changes("the home key", () => page.keyboard.press("Home"), longer);
  await changes("the button for everything and the violation", () => page.locator("#to-violation").click(), shorter);
  const box = await page.locator("svg.history").boundingBox();
  await changes("a selection with the pointer", async () => {
    await page.mouse.move(box.x + 300, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + 600, box.y + 60, { steps: 4 });
    await page.mouse.up();
  }, shorter);
  await page.locator("#everything").click();
  await page.locator("#violations button").first().click();
  await page.locator(".history .is-violation").first().waitFor();
  await page.locator("#operations summary").click();
  assert.ok((await page.locator("#operations tbody tr").count()) > 1, "the table has the operations of the chart");
  await close();
});

test("key is chosen from the log", async () => {
  const { page, close } = await open("history");
  await page.locator(".history .is-violation").first().waitFor();
  const keys = await page.locator("#history-key option").evaluateAll((all) => all.map((it) => it.value));
  assert.ok(keys.length > 1);
  await page.locator("#history-key").selectOption(keys[1]);
  await page.locator("#no-violation, #violations").first().waitFor();
  await page.locator("#no-violation").waitFor();
  await close();
});

test("log of a visitor is opened and a wrong one is refused", async () => {
  const { page, close } = await open("history");
  const files = page.locator("#history-files");
  await files.setInputFiles([KEYS, WRITES]);
  await page.locator("#history-error").filter({ hasText: "reads.csv is missing" }).waitFor();
  await files.setInputFiles([KEYS, WRITES, file("reads.csv", "a,b", "1,2")]);
  await page.locator("#history-error").filter({ hasText: "no log of the checker" }).waitFor();
  await files.setInputFiles([KEYS, WRITES, reads("3000000,4000000,2,7,0,missing,hit,true,false,1,1,2,1000,Stale", "3000000,4000000,1,7,0,missing,hit,true,false,1,1,1,0,")]);
  await page.locator("#history-name").filter({ hasText: "Your log" }).waitFor();
  await page.locator("#violations tbody").filter({ hasText: "version 2 was acknowledged" }).waitFor();
  assert.equal(await page.locator("#history-error").count(), 0);
  assert.match(await page.locator("#history-key").innerText(), /^tags, product 71: 1 violation in 2 operations/);
  await page.locator("#history-sample").click();
  await page.locator("#history-name").filter({ hasText: "Recording" }).waitFor();
  await close();
});

test("log with millions of lines is cut and the page says so", async () => {
  const { page, close } = await open("history");
  await page.locator(".history .is-violation").first().waitFor();
  // The browser makes the file itself: the test would send it in one message.
  await page.evaluate(async ([keys, writes, head]) => {
    const { MOST_LINES } = await import("/assets/history_log.js");
    const line = "3000000,4000000,2,7,0,missing,hit,true,false,1,2,2,0,\n";
    const reads = new Blob([head, ...Array.from({ length: Math.ceil(MOST_LINES / 1000) + 1 }, () => line.repeat(1000))]);
    const transfer = new DataTransfer();
    for (const [name, content] of [["keys.csv", keys], ["writes.csv", writes], ["reads.csv", reads]]) transfer.items.add(new File([content], name));
    const input = document.getElementById("history-files");
    input.files = transfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }, [KEYS.buffer.toString(), WRITES.buffer.toString(), reads("").buffer.toString()]);
  await page.locator("#history-cut").waitFor({ timeout: 300_000 });
  assert.match(await page.locator("main").innerText(), /more than 20,000 operations/);
  await close();
});
