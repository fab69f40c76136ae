// The reads of the shop: each block is one request, and after a change of a price the blocks are read until they show it.
import { useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { Refused, get } from "./api.js";
import { source } from "./cache_status.js";

/**
 * @typedef {{json: any, ms: number, served: ReturnType<typeof source>, status: number, error?: string}} Block
 * @typedef {{block: Block|null, again: () => Promise<Block|null>}} Reader
 * @typedef {{old: number, isShown: boolean, newAfter: number|null, elapsed: number}} Outcome
 *   reads that showed the old price; whether the block shows the product at all; when it showed the new price, in ms after
 *   the write was acknowledged; when the latest answer arrived
 * @typedef {{began: number, product: number, price: number, outcomes: Record<string, Outcome>}} Watch
 */

/** For how long the blocks are read after a change, in ms: longer than the TTL of the strategy `ttl`. */
export const WATCH = 15_000;
/** Pauses between two reads of a block: short at first, to measure delays of some milliseconds. */
const pause = (/** @type {number} */ elapsed) => (elapsed < 1000 ? 20 : 250);

/** @param {string} path @param {string} token @returns {Promise<Block>} */
async function read(path, token) {
  try {
    const { json, headers, ms, status } = await get(path, token ? { "x-consistency-token": token } : {});
    return { json, ms, status, served: source(headers.get("cache-status")) };
  } catch (error) {
    const status = error instanceof Refused ? error.status : 0;
    return { json: null, ms: 0, status, served: { kind: "none", word: "no answer" }, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Reads a path at once, whenever it or the token changes, and on demand. An empty path reads nothing. @param {string} path @param {string} token @returns {Reader} */
export function useBlock(path, token) {
  const [block, setBlock] = useState(/** @type {Block|null} */ (null));
  // Answers may arrive in another order than their requests were sent. Only a later one replaces what is shown.
  const at = useRef({ path: "", sent: 0, shown: 0 });
  const again = async () => {
    if (!path) return null;
    const turn = (at.current.sent += 1);
    const answer = await read(path, token);
    if (at.current.path === path && turn > at.current.shown) {
      at.current.shown = turn;
      setBlock(answer);
    }
    return answer;
  };
  useEffect(() => {
    at.current.path = path;
    if (path) again();
    else setBlock(null);
  }, [path, token]);
  return { block, again };
}

/**
 * Adds an answer to what is known of a block.
 * @param {Outcome} before @param {number|undefined} shown the price in the answer @param {number} wanted @param {number} elapsed
 * @returns {Outcome}
 */
function record(before, shown, wanted, elapsed) {
  const isNew = shown === wanted;
  return {
    old: before.old + (shown !== undefined && !isNew ? 1 : 0),
    isShown: shown !== undefined,
    newAfter: isNew ? elapsed : null,
    elapsed,
  };
}

/**
 * After a change of a price, reads each block until it shows the new price. The reads begin after the write was
 * acknowledged, so an old price is a stale read.
 * @param {Record<string, {again: () => Promise<Block|null>, priceIn: (json: any) => number|undefined}>} blocks
 */
export function useWatch(blocks) {
  const [watch, setWatch] = useState(/** @type {Watch|null} */ (null));
  const latest = useRef(blocks);
  latest.current = blocks;
  useEffect(() => {
    if (!watch) return undefined;
    let isOver = false;
    const follow = async (/** @type {string} */ name) => {
      let outcome = watch.outcomes[name];
      while (!isOver && outcome.newAfter === null && outcome.elapsed < WATCH) {
        const answer = await latest.current[name].again();
        const elapsed = performance.now() - watch.began;
        const shown = answer?.json ? latest.current[name].priceIn(answer.json) : undefined;
        outcome = record(outcome, shown, watch.price, elapsed);
        const now = outcome;
        setWatch((/** @type {Watch|null} */ it) => (it?.began === watch.began ? { ...it, outcomes: { ...it.outcomes, [name]: now } } : it));
        await new Promise((resolve) => setTimeout(resolve, pause(elapsed)));
      }
    };
    for (const name of Object.keys(watch.outcomes)) follow(name);
    return () => {
      isOver = true;
    };
  }, [watch?.began]);
  const begin = (/** @type {number} */ product, /** @type {number} */ price) => {
    const nothing = { old: 0, isShown: true, newAfter: null, elapsed: 0 };
    setWatch({ began: performance.now(), product, price, outcomes: Object.fromEntries(Object.keys(blocks).map((name) => [name, nothing])) });
  };
  return { watch, begin, end: () => setWatch(null) };
}
