// What the page knows: one object, changed only by `apply`, and bounded everywhere.

/**
 * @typedef {{strategy: string, id: number, name: string, version: number, price_cents: number, updated_at_ms: number,
 *   category: {id: number, name: string}}} Row
 * @typedef {{strategy: string, column: string, state: "fresh"|"stale"|"absent"|"loading"|"refreshing"|"unknown",
 *   version: number|null, price_cents: number|null, ttl_ms: number|null, expires_at_ms: number|null,
 *   stale_since_ms: number|null, stale_for_ms: number|null, detail: string|null}} Cell
 * @typedef {{at_ms: number, id: string, cause: string, strategy: string|null, product_id: number|null,
 *   version: number|null, commit_ms: number|null, acknowledged_ms: number, status: number, detail: string|null,
 *   token: string|null}} Write
 * @typedef {{name: string, up: boolean, detail: string|null, readiness: string|null, failing: string[], at_ms: number}} Service
 * @typedef {{at_ms: number, strategy: string, service: string, version: number|null, ms: number, source: string,
 *   cache_status: string, stale_ms: number}} Read
 * @typedef {{strategy: string, reads: number, near_hits: number, redis_hits: number, stale_hits: number, misses: number,
 *   bypasses: number, errors: number, loads: number, p50_ms: number|null, p99_ms: number|null,
 *   max_stale_ms: number|null}} Figures
 * @typedef {{name: string, active: boolean, ends_at_ms: number|null, seen: boolean|null, error: string|null}} Fault
 * @typedef {{name: string, state: "running"|"done"|"failed", progress: number, result: any, error: string|null}} Task
 * @typedef {{cause: string, at_ms: number, writes: Write[]}} Change  several writes that belong together
 * @typedef {Record<string, any> & {kind: string}} LiveRecord
 */

/** Writes of one cause that begin within this time belong together. */
const TOGETHER_MS = 150;

/**
 * Keeps the last `limit` items.
 * @template T
 * @param {T[]} list @param {T} item @param {number} limit
 */
export function push(list, item, limit) {
  list.push(item);
  if (list.length > limit) list.splice(0, list.length - limit);
}

/** Returns a state in which nothing is known. */
export function empty() {
  return {
    /** Whether records arrive. */
    connected: false,
    /** Whether a first snapshot has arrived. */
    started: false,
    /** The console's clock minus the browser's, in ms. */
    offset: 0,
    /** @type {any} the answer of /config.json */
    config: null,
    /** @type {Map<string, Service>} */
    services: new Map(),
    /** @type {Row[]} */
    truth: [],
    /** @type {Map<string, Cell>} by `strategy/column` */
    cells: new Map(),
    /** @type {Change[]} the latest last */
    changes: [],
    /** @type {{at_ms: number, event: any}[]} */
    published: [],
    /** @type {{service: string, record: any}[]} */
    feed: [],
    /** @type {Read[]} */
    reads: [],
    /** @type {{at_ms: number, strategies: Figures[]}[]} one a second */
    figures: [],
    /** @type {{running: boolean, rate: number, mix: number, skew: number, achieved: number, failures: number}|null} */
    load: null,
    /** @type {Fault[]} */
    faults: [],
    /** @type {Map<string, Task>} */
    tasks: new Map(),
    /** @type {{at_ms: number, text: string}[]} */
    notes: [],
  };
}

/** @typedef {ReturnType<typeof empty>} State */

/**
 * Applies a record of /live. Pure but for `state`.
 * @param {State} state @param {LiveRecord} record @param {number} now the browser's clock, in ms since 1970
 */
export function apply(state, record, now) {
  switch (record.kind) {
    case "hello":
      if (!record.resumed) Object.assign(state, empty(), { config: state.config, connected: true });
      state.started = true;
      state.offset = record.at_ms - now;
      break;
    case "service": state.services.set(record.name, /** @type {any} */ (record)); break;
    case "truth": state.truth = record.rows; break;
    case "board":
      for (const cell of record.cells) state.cells.set(`${cell.strategy}/${cell.column}`, cell);
      break;
    case "write": addWrite(state, /** @type {any} */ (record)); break;
    case "published": push(state.published, /** @type {any} */ (record), 200); break;
    case "feed": push(state.feed, /** @type {any} */ (record), 1000); break;
    case "read": push(state.reads, /** @type {any} */ (record), 600); break;
    case "figures": push(state.figures, /** @type {any} */ (record), 120); break;
    case "load": state.load = /** @type {any} */ (record); break;
    case "faults": state.faults = record.faults; break;
    case "task": state.tasks.set(record.name, /** @type {any} */ (record)); break;
    case "note": push(state.notes, /** @type {any} */ (record), 50); break;
  }
}

/** @param {State} state @param {Write} write */
function addWrite(state, write) {
  const last = state.changes.at(-1);
  const repeated = last?.writes.some((other) => other.strategy === write.strategy);
  if (last && last.cause === write.cause && write.at_ms - last.at_ms < TOGETHER_MS && !repeated) {
    last.writes.push(write);
  } else {
    push(state.changes, { cause: write.cause, at_ms: write.at_ms, writes: [write] }, 40);
  }
}

/** The columns of the board that this stack has. @param {State} state @returns {{id: string, title: string}[]} */
export function columns(state) {
  const has = (/** @type {string} */ name) => state.config?.services.some((/** @type {any} */ it) => it.name === name);
  return [
    { id: "near-1", title: has("product-api-2") ? "Near cache, process 1" : "Near cache" },
    ...(has("product-api-2") ? [{ id: "near-2", title: "Near cache, process 2" }] : []),
    { id: "redis", title: "Redis" },
    { id: "cart", title: "Cart" },
    { id: "search", title: "Search" },
    { id: "recommendation", title: "Recommendations" },
  ];
}
