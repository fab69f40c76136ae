// Explain, and the tour that starts there.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { CONSOLE, STRATEGIES, open, press, quit, show, until } from "./page.mjs";

after(quit);

test("explain shows the code of each strategy", async () => {
  const { page, close } = await open("explain");
  for (const strategy of STRATEGIES) {
    await page.locator(`.tabs [data-strategy=${strategy}]`).click();
    const article = page.locator(`article[data-strategy=${strategy}]`);
    await article.waitFor();
    const explained = await (await fetch(`${CONSOLE}/explain/${strategy}`)).json();
    assert.equal((await page.locator("pre.code").innerText()).trimEnd(), explained.code.trimEnd(), strategy);
    assert.equal(await page.locator(".line-number").count(), explained.code.trimEnd().split("\n").length);
    const text = await article.innerText();
    for (const expected of [explained.file, explained.title, "Good for", "Not for", "Guarantee", "Cost"]) assert.ok(text.includes(expected), `${strategy}: ${expected}`);
    assert.doesNotMatch(text.split("The code as it was")[0], /\*\*|\]\(/, "no Markdown is left");
  }
  await page.locator("summary").click();
  assert.match(await page.locator("pre.markdown").innerText(), /^# Strategy 7/);
  await close();
});

test("explain reports an unknown strategy", async () => {
  const { page, close } = await open("explain=none");
  await page.locator("[role=alert]").waitFor();
  await close().catch((error) => assert.match(String(error), /explain\/none/));
});

test("every tour step has an address and marks its row", async () => {
  const { page, close } = await open("explain=tags");
  const tours = await (await fetch(`${CONSOLE}/assets/tour.json`)).json();
  assert.deepEqual(Object.keys(tours), STRATEGIES);
  for (const strategy of STRATEGIES) {
    assert.equal(tours[strategy].length, 7, strategy);
    for (const [index, step] of tours[strategy].entries()) {
      await show(page, `tour=${strategy}&step=${index + 1}`);
      const panel = page.locator(`.tour[data-strategy=${strategy}][data-step="${index + 1}"]`);
      await panel.waitFor();
      assert.ok((await panel.innerText()).includes(step.title));
      await page.locator(`header nav a[href="#${step.view ?? "board"}"][aria-current=page]`).waitFor();
      assert.equal(await page.locator("#tour-action").count(), step.action ? 1 : 0);
      if (!step.view) assert.equal(await isHidden(page, strategy), false, `the panel does not hide ${strategy}`);
    }
  }
  await close();
});

/** Whether the tour's panel covers the row of a strategy, or the row is not marked. */
const isHidden = (page, strategy) => page.evaluate((name) => {
  const row = document.querySelector(`.board-table tr[data-strategy="${name}"]`);
  const bottom = row.getBoundingClientRect().bottom;
  return bottom > document.querySelector(".tour").getBoundingClientRect().top || getComputedStyle(row).outlineStyle !== "solid";
}, strategy);

test("tour is led by buttons and arrow keys", async () => {
  const { page, close } = await open("explain=events");
  await page.locator("#start-tour").click();
  const at = (step) => page.locator(`.tour[data-step="${step}"]`).waitFor();
  await at(1);
  assert.equal(await page.locator("#tour-back").isDisabled(), true);
  await page.keyboard.press("ArrowRight");
  await at(2);
  assert.match(page.url(), /#tour=events&step=2$/);
  await page.locator("#tour-next").click();
  await at(3);
  await page.keyboard.press("ArrowLeft");
  await at(2);
  await page.locator("#tour-back").click();
  await at(1);
  await page.locator('.tour-dots [data-to="7"]').click();
  await at(7);
  await page.locator("#tour-following").click();
  await page.locator(".tour[data-strategy=swr]").waitFor();
  await page.locator("#tour-strategy").selectOption("ttl");
  await page.locator(".tour[data-strategy=ttl]").waitFor();
  // A select uses the arrow keys itself.
  await page.locator("#tour-strategy").focus();
  await page.keyboard.press("Escape");
  await page.locator("#close-tour").click();
  await until("the tour to end", async () => (await page.locator(".tour").count()) === 0);
  assert.equal(await page.evaluate(() => document.documentElement.dataset.tour), undefined);
  await show(page, "tour=none&step=99");
  await page.locator('.tour[data-strategy=ttl][data-step="1"]').waitFor();
  await page.locator(".tour h2").click();
  await page.keyboard.press("Escape");
  await until("the tour to end by the keyboard", async () => (await page.locator(".tour").count()) === 0);
  await close();
});

test("tour action is sent to the server", async () => {
  const { page, close } = await open("tour=tags&step=2");
  const sent = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/actions/change-price"));
  await press(page, "tour-action");
  assert.deepEqual((await sent).postDataJSON(), { times: 1 });
  assert.equal((await (await sent).response()).status(), 200);
  await close();
});
