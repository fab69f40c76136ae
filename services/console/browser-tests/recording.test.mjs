// A recording: it is made, downloaded, and plays without any network.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { VIEWS, findings, makeStale, open, openFile, quit, show, stateOf, until, untilCell } from "./page.mjs";

let folder;
let file;

before(async () => {
  folder = process.env.SCREENSHOTS ?? (await mkdtemp(join(tmpdir(), "console-")));
  file = join(folder, "recording.html");
  const { page, close } = await open();
  await page.waitForSelector("td[data-column=redis]");
  // The recording begins with a copy that was stale and is fresh again, as it does after any earlier change.
  await makeStale(page);
  await untilCell(page, "ttl", "redis", "fresh");
  await page.locator("#record").click();
  await until("a copy of ttl that is stale for a second", async () => {
    await makeStale(page);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    return (await stateOf(page, "ttl", "redis")) === "stale";
  });
  await page.locator("#stop-recording").filter({ hasText: /[3-9] s/ }).waitFor();
  const downloading = page.waitForEvent("download");
  await page.locator("#stop-recording").click();
  const download = await downloading;
  assert.match(download.suggestedFilename(), /^console-2.*\.html$/);
  await download.saveAs(file);
  await page.locator("#record").waitFor();
  await close();
});

after(async () => {
  await quit();
  if (!process.env.SCREENSHOTS) await rm(folder, { recursive: true });
});

/** Opens the file offline, and collects each request that leaves it. */
async function play(options = {}) {
  const opened = await openFile("about:blank", options);
  /** @type {string[]} */
  const requests = [];
  opened.page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith("data:") && url.split("#")[0] !== `file://${file}`) requests.push(url);
  });
  await opened.page.context().setOffline(true);
  await opened.page.goto(`file://${file}`);
  await opened.page.locator("#play").waitFor();
  return { ...opened, requests };
}

const seek = (page, to) => page.locator("#seek").evaluate((element, value) => {
  element.value = value === "end" ? element.max : String(value);
  element.dispatchEvent(new Event("input", { bubbles: true }));
}, to);

/** Waits until what was changed is shown. */
const frames = (page) => page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); }));

test("recording has no external reference", async () => {
  const text = await readFile(file, "utf8");
  assert.doesNotMatch(text, /<(script|link|img)[^>]+(src|href)="(?!data:)/);
});

test("recording plays offline and every view works", async () => {
  const { page, requests, close } = await play({ reducedMotion: "reduce" });
  await page.locator(".banner").filter({ hasText: "This is a recording" }).waitFor();
  await page.locator(".player-label").filter({ hasText: "Recording of 2" }).waitFor();
  for (const view of [...VIEWS, "tour=events&step=2"]) {
    await show(page, view);
    assert.deepEqual(await findings(page), [], view);
  }
  await page.locator("#tour-action").waitFor();
  assert.equal(await page.locator("#tour-action").isDisabled(), true);
  await show(page, "board");
  for (const id of ["change-price", "sql-write", "reset"]) {
    assert.equal(await page.locator(`#${id}`).isDisabled(), true);
    assert.match(await page.locator(`#${id}`).getAttribute("title"), /A recording sends no requests/);
  }
  await show(page, "explain=tags");
  await page.locator("pre.code").waitFor();
  await show(page, "history");
  await page.locator(".history .is-violation").first().waitFor();
  assert.deepEqual(requests, []);
  await close();
});

test("clock of the page follows the player", async () => {
  const { page, requests, close } = await play({ reducedMotion: "reduce" });
  assert.equal(await page.locator("#play").innerText(), "Play", "reduced motion: it does not start by itself");
  /** How long the copy of ttl in Redis has been stale at a time of the recording, in ms; NaN if it is not stale then. */
  const ageAt = async (at) => {
    await seek(page, at);
    await frames(page);
    const text = await page.locator("td[data-strategy=ttl][data-column=redis]").innerText();
    return Number(text.match(/(?<!was )stale for ([\d,]+) ms/)?.[1].replaceAll(",", ""));
  };
  const end = Number(await page.locator("#seek").getAttribute("max"));
  let [at, before, later] = [0, NaN, NaN];
  const follows = () => Math.abs(later - before - 300) <= 1;
  // A copy that ends within the 300 ms says nothing, nor does one that ends and becomes stale again.
  while (!follows() && at + 300 < end) {
    at += 100;
    before = await ageAt(at);
    later = Number.isNaN(before) ? NaN : await ageAt(at + 300);
  }
  assert.ok(follows(), `at no time a copy that is stale for 300 ms more 300 ms later; the last: ${before} and ${later} ms`);
  assert.notEqual(await ageAt(0), before);
  assert.deepEqual(requests, []);
  await close();
});

test("recording plays pauses changes speed and ends", async () => {
  const { page, close } = await play();
  const button = page.locator("#play");
  const at = async () => Number(await page.locator("#seek").inputValue());
  await until("the player to play", async () => (await at()) > 0);
  // The recording is short: it must not end before the pause on a slow machine.
  await page.locator("#speed").selectOption("0.25");
  await seek(page, 0);
  await until("the player to play slowly", async () => (await button.getAttribute("data-playing")) === "true" || button.click().then(() => false));
  await button.click();
  await until("the pause", async () => (await button.getAttribute("data-playing")) === "false");
  const paused = await at();
  await frames(page);
  assert.equal(await at(), paused);
  await page.locator("#speed").selectOption("5");
  await button.click();
  await until("the end", async () => (await button.innerText()) === "Play again");
  // At full speed, the second run could end before this test looks.
  await page.locator("#speed").selectOption("0.25");
  await button.click();
  await until("the second time", async () => (await button.getAttribute("data-playing")) === "true");
  await seek(page, "end");
  await until("the end again", async () => (await button.innerText()) === "Play again");
  await close();
});
