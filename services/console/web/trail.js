// The reports behind the explanations. Hits are left out: several arrive in each second, and would push everything else
// out of a bounded list.
import { onRecords } from "./live.js";
import { push } from "./store.js";

/**
 * @typedef {import("./store.js").Read} Read
 * @typedef {import("./store.js").Write} Write
 * @typedef {import("./store.js").State} State
 * @typedef {{service: string, record: any}} Report
 */

const REPORTS = 1500;
const FIRST_READS = 400;
/** The times of two processes may differ by a rounding of each. */
const ROUNDING_MS = 2;

/** @type {Report[]} */
const reports = [];
/** @type {Map<string, Read>} the first read of each version, by `strategy/version` */
const firstReads = new Map();
/** @type {Map<string, {write: Write, count: number}>} reads of an older version after the response to the latest write */
const staleReads = new Map();

onRecords((records) => records.forEach(take));

/** @param {any} record */
function take(record) {
  if (record.kind === "hello" && !record.resumed) {
    // The state begins anew too, and a recording may begin again.
    reports.length = 0;
    firstReads.clear();
    staleReads.clear();
  } else if (record.kind === "feed" && record.record.kind !== "hit") {
    push(reports, { service: record.service, record: record.record }, REPORTS);
  } else if (record.kind === "write" && record.strategy) {
    staleReads.set(record.strategy, { write: record, count: 0 });
  } else if (record.kind === "read") {
    takeRead(record);
  }
}

/** @param {Read} read */
function takeRead(read) {
  const last = staleReads.get(read.strategy);
  // A read that lacks only a later version is no fault of this write.
  const lacksWrite = last && read.version !== null && read.version < (last.write.version ?? 0);
  if (lacksWrite && read.at_ms > last.write.acknowledged_ms) last.count += 1;
  const name = `${read.strategy}/${read.version}`;
  if (read.version === null || firstReads.has(name)) return;
  firstReads.set(name, read);
  if (firstReads.size > FIRST_READS) firstReads.delete(/** @type {string} */ (firstReads.keys().next().value));
}

/** The name of a service without the number of its process. @param {string} name */
export const serviceOf = (name) => name.replace(/-2$/, "");

/** The reads that began after the response to `write`, and returned an older version. @param {Write} write */
export function staleReadsAfter(write) {
  const last = staleReads.get(write.strategy ?? "");
  return last?.write.id === write.id ? last.count : 0;
}

/** The first read of the version that `write` made. @param {Write} write */
export const firstReadOf = (write) => firstReads.get(`${write.strategy}/${write.version}`);

/** The reports of a kind since a time, of the processes of one service, oldest first.
 * @param {string} kind @param {number} sinceMs @param {string} [service] @returns {Report[]} */
export function reportsOf(kind, sinceMs, service) {
  return reports.filter((it) => it.record.kind === kind && it.record.at_ms >= sinceMs - ROUNDING_MS
    && (!service || serviceOf(it.service) === service));
}

/** Whether the page still has every report since `sinceMs`. @param {number} sinceMs */
export const isKept = (sinceMs) => reports.length < REPORTS || reports[0].record.at_ms <= sinceMs;

/** The key of a strategy's entry of a product. @param {Write} write */
export const keyOf = (write) => `product:${write.strategy}:${write.product_id}`;

/** The event of `write`, if the relay has published it. @param {State} state @param {Write} write */
export function publicationOf(state, write) {
  const isSince = (/** @type {any} */ event) => Date.parse(event.occurred_at) >= write.at_ms - ROUNDING_MS;
  // Neither a rename nor a write without a response has a version.
  const isOf = (/** @type {any} */ event) => {
    if (write.product_id === null) return event.type === "category.updated" && isSince(event);
    return event.product_id === write.product_id && (write.version === null ? isSince(event) : event.version === write.version);
  };
  return state.published.find((it) => isOf(it.event));
}

/**
 * When `write` was committed. The console notes the time of an SQL write and of a rename after the COMMIT; the event has
 * the earlier time of the database.
 * @param {State} state @param {Write} write
 */
export function committedAt(state, write) {
  const noted = write.commit_ms ?? write.at_ms;
  const event = publicationOf(state, write)?.event;
  if (!event) return noted;
  return write.commit_ms === null ? Date.parse(event.occurred_at) : Math.min(noted, Date.parse(event.occurred_at));
}

/** The tags of an entry, as its latest fill named them; undefined if the page has seen no fill. @param {string} key */
export function tagsOf(key) {
  const fill = reports.findLast((it) => it.record.kind === "fill" && it.record.key === key);
  return fill && /** @type {string[]} */ (fill.record.tags ?? []);
}

/**
 * The first report since `sinceMs` that the entry `key` was removed, by its key or by one of its tags.
 * @param {string} key @param {string[]} tags @param {number} sinceMs @returns {Report|undefined}
 */
export function removalOf(key, tags, sinceMs) {
  const removes = (/** @type {any} */ it) => it.entries !== null && !it.soft
    && (it.everything || it.keys.includes(key) || it.tags.some((/** @type {string} */ tag) => tags.includes(tag)));
  const found = reportsOf("invalidate", sinceMs, "product-api").filter((it) => removes(it.record));
  // Several processes may look for the entry; one of them finds it.
  return found.find((it) => it.record.entries > 0) ?? found[0];
}

/** The first report of `kind` about an entry since `sinceMs`. @param {string} kind @param {string} key @param {number} sinceMs */
export function firstOf(kind, key, sinceMs) {
  return reportsOf(kind, sinceMs).find((it) => it.record.key === key);
}
