import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./modules.mjs";

const { apply, columns, empty, push } = await load("store.js");
const { clock, ms, percent, price, seconds } = await load("format.js");
const { rustLines } = await load("explain_code.js");

const write = (at_ms, strategy, cause = "change-price") => ({ kind: "write", at_ms, strategy, cause, id: `${strategy}${at_ms}` });

test("hello resets the state unless the stream resumed", () => {
  const state = empty();
  state.config = { services: [] };
  apply(state, { kind: "note", at_ms: 1, text: "a" }, 0);
  apply(state, { kind: "hello", at_ms: 1000, resumed: true }, 900);
  assert.equal(state.notes.length, 1);
  assert.equal(state.offset, 100);
  apply(state, { kind: "hello", at_ms: 1000, resumed: false }, 900);
  assert.equal(state.notes.length, 0);
  assert.deepEqual(state.config, { services: [] });
});

test("writes of one cause within moments are one change", () => {
  const state = empty();
  for (const record of [write(1, "ttl"), write(2, "explicit"), write(3, "ttl"), write(4, "tags", "sql"), write(900, "explicit", "sql")]) apply(state, record, 0);
  assert.deepEqual(state.changes.map((it) => it.writes.map((one) => one.strategy)), [["ttl", "explicit"], ["ttl"], ["tags"], ["explicit"]]);
});

test("lists are bounded", () => {
  const state = empty();
  for (let at = 0; at < 5000; at += 1) {
    apply(state, { kind: "feed", service: "cart", record: { at_ms: at } }, 0);
    apply(state, { kind: "read", at_ms: at }, 0);
    apply(state, { kind: "published", at_ms: at }, 0);
    apply(state, { kind: "figures", at_ms: at }, 0);
    apply(state, { kind: "note", at_ms: at }, 0);
    apply(state, write(at * 1000, "ttl"), 0);
  }
  assert.deepEqual([state.feed, state.reads, state.published, state.figures, state.notes, state.changes].map((it) => it.length), [1000, 600, 200, 120, 50, 40]);
  assert.equal(state.reads.at(-1).at_ms, 4999);
  const list = [1, 2];
  push(list, 3, 2);
  assert.deepEqual(list, [2, 3]);
});

test("board has a column for a second process only if there is one", () => {
  const state = empty();
  state.config = { services: [{ name: "product-api" }] };
  assert.deepEqual(columns(state).map((it) => it.id), ["near-1", "redis", "cart", "search", "recommendation"]);
  state.config.services.push({ name: "product-api-2" });
  assert.deepEqual(columns(state).map((it) => it.id).slice(0, 2), ["near-1", "near-2"]);
});

test("numbers have units", () => {
  assert.deepEqual([ms(null), ms(0.4231), ms(7), ms(1840.4)], ["–", "0.42 ms", "7 ms", "1,840 ms"]);
  assert.deepEqual([seconds(1840), seconds(23_400), seconds(-5)], ["1.8 s", "23 s", "0.0 s"]);
  assert.deepEqual([price(2499), price(null), percent(0.974), percent(null)], ["24.99", "–", "97 %", "–"]);
  assert.equal(clock(Date.UTC(2026, 10, 28, 5, 12, 24, 528)), "05:12:24.528");
});

test("code keeps its text and lines when it is marked", () => {
  const code = 'pub fn a() -> &\'static str {\n    // as "text"\n    r#"hard = "5m"\n\nnext"#\n}\n';
  const lines = rustLines(code);
  assert.equal(lines.map((parts) => parts.map((it) => it.text).join("")).join("\n"), code.trimEnd());
  assert.deepEqual(lines[0].filter((it) => it.kind).map((it) => it.text), ["pub", "fn", "static"]);
  assert.deepEqual(lines[1].filter((it) => it.kind), [{ kind: "comment", text: '// as "text"' }]);
  assert.deepEqual(lines.slice(2, 5).map((parts) => parts.filter((it) => it.kind === "string").map((it) => it.text).join("")), ['r#"hard = "5m"', "", 'next"#']);
});
