// The stream: the page under load, and after its connection broke.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openLine } from "./line.mjs";
import { CONSOLE, open, openFile, quit, until } from "./page.mjs";

after(quit);

/** How long the load runs, in s. */
const SECONDS = Number(process.env.LOAD_SECONDS ?? 15);
const MB = 1_000_000;
/** Growth of the heap that the collector and the bounded lists explain, between two halves of the load. */
const ALLOWED_GROWTH = 15 * MB;
/** The age of the latest record that a busy machine explains, in ms. */
const ALLOWED_DELAY = 5_000;

const setLoad = (rate) => fetch(`${CONSOLE}/load`, {
  method: "PUT", headers: { "content-type": "application/json" }, body: JSON.stringify({ rate, mix: rate ? 0.5 : 0, skew: 0.9 }),
});

/** Counts the frames and records of some seconds, and how old the latest record was. */
const measure = (page, seconds) => page.evaluate(async (length) => {
  const { now, onRecords } = await import("/assets/live.js");
  let [frames, records, delay] = [0, 0, Infinity];
  const off = onRecords((/** @type {any[]} */ some) => {
    records += some.length;
    const read = some.findLast((it) => it.kind === "read");
    if (read) delay = now() - read.at_ms;
  });
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
  return { frames: frames / length, records: records / length, delay };
}, seconds);

test("the page keeps up with a load of 200 requests a second, and its memory is bounded", async () => {
  const { page, close } = await open("board");
  await page.waitForSelector("td[data-column=redis]");
  const cdp = await page.context().newCDPSession(page);
  const heap = async () => {
    await cdp.send("HeapProfiler.collectGarbage");
    return (await cdp.send("Runtime.getHeapUsage")).usedSize;
  };
  try {
    assert.equal((await setLoad(200)).status, 204);
    const first = await measure(page, SECONDS);
    const before = await heap();
    // A load ends by itself after some minutes.
    assert.equal((await setLoad(200)).status, 204);
    const second = await measure(page, SECONDS);
    const grown = (await heap()) - before;
    for (const [name, it] of Object.entries({ first, second })) {
      console.log(`# ${name} ${SECONDS} s: ${it.frames.toFixed(1)} frames and ${it.records.toFixed(0)} records a second, the latest read was ${Math.round(it.delay)} ms old`);
      assert.ok(it.frames > 1 && it.records > 10, "the page draws and receives");
      assert.ok(it.delay < ALLOWED_DELAY, "no backlog grows");
    }
    console.log(`# the heap has grown by ${(grown / MB).toFixed(1)} MB to ${((before + grown) / MB).toFixed(1)} MB`);
    assert.ok(grown < ALLOWED_GROWTH, `the heap has grown by ${grown} bytes`);
    const kept = await page.evaluate(async () => {
      const { state } = await import("/assets/live.js");
      return [state.feed, state.reads, state.published, state.changes, state.figures, state.notes].map((it) => it.length);
    });
    assert.ok(kept.every((length, index) => length <= [1000, 600, 200, 40, 120, 50][index]), `bounded lists: ${kept}`);
  } finally {
    await setLoad(0);
  }
  await close();
});

test("a banner says that the stream is interrupted, and the page resumes by itself", async () => {
  const line = await openLine(CONSOLE);
  const { page, errors } = await openFile(`${line.address}/#board`);
  await page.waitForSelector("td[data-column=redis]");
  const banner = page.locator(".banner").filter({ hasText: "The console does not answer" });
  await line.cut();
  await banner.waitFor();
  assert.match(await banner.innerText(), /make up/);
  assert.ok((await page.locator("td[data-column=redis]").count()) > 0, "the last known cells stay");
  const received = page.waitForResponse((it) => it.url().endsWith("/live"));
  await line.repair();
  const request = (await received).request();
  assert.ok((await request.allHeaders())["last-event-id"], "the browser names the last message that it has");
  await banner.waitFor({ state: "detached" });
  await until("new records", () => page.evaluate(async () => {
    const { onRecords } = await import("/assets/live.js");
    return new Promise((resolve) => { const off = onRecords(() => { off(); resolve(true); }); });
  }));
  await page.context().close();
  await line.cut();
  assert.deepEqual(errors.filter((it) => !it.includes("net::ERR_")), []);
});
