import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./modules.mjs";

const { eachLine, fieldsOf, floors, openLog, operationsOf, remark, MOST_OPERATIONS } = await load("history_log.js");

const READS = "begin_ns,end_ns,key,session,node,pattern,source,kept,flagged,number,version,floor,stale_ns,fault";
const WRITES = "begin_ns,end_ns,key,session,node,source,number,version,acknowledged";
const blob = (...lines) => new Blob([`${lines.join("\n")}\n`]);
const files = ({ keys = ['1,70,"ttl"', '2,71,"a, ""b"""'], reads = [], writes = [] }) => ({
  keys: blob("key,id,subject", ...keys), reads: blob(READS, ...reads), writes: blob(WRITES, ...writes),
});

test("quoted fields may contain commas and quotation marks", () => {
  assert.deepEqual(fieldsOf("1,2,,3"), ["1", "2", "", "3"]);
  assert.deepEqual(fieldsOf('8,70,"a, ""b"""'), ["8", "70", 'a, "b"']);
});

test("lines survive chunk borders and are cut at the limit", async () => {
  const all = Array.from({ length: 50_000 }, (_, index) => `line ${index} ä`);
  const seen = [];
  assert.equal(await eachLine(blob(...all), 100_000, (line) => seen.push(line)), false);
  assert.deepEqual(seen, all);
  const some = [];
  assert.equal(await eachLine(blob(...all), 7, (line) => some.push(line)), true);
  assert.equal(some.length, 7);
  assert.equal(await eachLine(blob(...all), all.length, () => {}), false);
});

test("keys with violations come first", async () => {
  const log = await openLog(files({
    reads: ["10,20,1,5,0,missing,hit,true,false,1,1,1,0,", "30,40,2,5,0,missing,hit,true,false,1,1,2,9,Stale"],
    writes: ["1,5,1,6,0,-,3,2,yes"],
  }));
  assert.deepEqual(log.keys.map(({ key, id, subject, violations, operations }) => [key, id, subject, violations, operations]),
    [["2", "71", 'a, "b"', 1, 1], ["1", "70", "ttl", 0, 2]]);
  assert.equal(log.isCut, false);
});

test("operations of a key are in order and have versions", async () => {
  const log = await openLog(files({
    reads: ["30,40,1,5,0,missing,hit,true,false,9,1,2,9,Stale", "31,41,2,5,0,missing,hit,true,false,9,1,1,0,", "50,60,1,5,0,missing,failed,,,,,,,"],
    writes: ["10,20,1,6,0,-,3,2,yes", "12,22,1,7,0,-,4,,unknown"],
  }));
  const { operations, isCut } = await operationsOf(log, "1");
  assert.deepEqual(operations.map((it) => [it.kind, it.begin, it.version, it.acknowledged]),
    [["write", 10, 2, true], ["write", 12, null, false], ["read", 30, 1, true], ["read", 50, null, true]]);
  assert.match(remark(operations[2]), /stale: it shows version 1, but version 2/);
  assert.equal(remark(operations[1]), "its result is unknown");
  assert.equal(isCut, false);
});

test("two writes of one version are a lost write", async () => {
  const log = await openLog(files({ writes: ["1,5,1,6,0,-,3,2,yes", "2,6,1,7,0,-,4,2,yes", "3,7,2,7,0,-,5,2,yes"] }));
  assert.deepEqual(log.keys.map((it) => [it.key, it.violations]), [["1", 1], ["2", 0]]);
  const { operations } = await operationsOf(log, "1");
  assert.deepEqual(operations.map((it) => it.fault), ["", "Lost"]);
});

test("violations are kept when a key has too many operations", async () => {
  const reads = Array.from({ length: MOST_OPERATIONS + 50 }, (_, index) => `${index},${index + 1},1,5,0,missing,hit,true,false,1,1,1,0,`);
  reads.push("999999,1000000,1,5,0,missing,hit,true,false,1,1,2,9,Stale");
  const { operations, isCut } = await operationsOf(await openLog(files({ reads })), "1");
  assert.equal(operations.length, MOST_OPERATIONS + 1);
  assert.equal(operations.at(-1).fault, "Stale");
  assert.equal(isCut, true);
});

test("file without the columns is refused", async () => {
  const wrong = { ...files({}), reads: blob("a,b,c", "1,2,3") };
  await assert.rejects(openLog(wrong), /reads\.csv is no log of the checker: it has no column begin_ns/);
});

test("floor rises with acknowledged writes only", () => {
  const write = (end, version, acknowledged = true) => ({ kind: "write", begin: 0, end, version, acknowledged });
  assert.deepEqual(floors([write(30, 2), write(10, 1), write(20, 3), write(40, 4, false)]), [{ at: 10, version: 1 }, { at: 20, version: 3 }]);
});
