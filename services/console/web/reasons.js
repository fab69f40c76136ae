// Why a copy was stale, or was not: the reasons follow from what the write and the services have reported.
import { count, seconds } from "./format.js";
import { now, state } from "./live.js";
import { committedAt, firstOf, keyOf, publicationOf, removalOf, staleReadsAfter, tagsOf } from "./trail.js";

/**
 * @typedef {import("./store.js").Write} Write
 * @typedef {import("./store.js").Cell} Cell
 * @typedef {import("./trail.js").Report} Report
 * @typedef {{outcome: "stale"|"was"|"never"|"unknown", figure: string, why: string}} Finding
 */

const OWN = /** @type {[string, string][]} */ ([["redis", "Redis"], ["near-1", "the near cache"], ["near-2", "the near cache"]]);
/** The times of two processes may differ by a rounding of each. */
const ROUNDING_MS = 2;
/** The board may show a copy that was removed for this long: the console looks at the caches a few times a second. */
const LOOK_MS = 1000;

/** `8,412 ms`; from 100 s on `126 s`, so that a counter keeps its width. @param {number} value in ms */
export function lasted(value) {
  const whole = Math.max(0, Math.round(value));
  return whole < 100_000 ? `${count(whole)} ms` : `${count(Math.floor(whole / 1000))} s`;
}

/** The longest staleness that the cells of the write's strategy show. @param {Write} write */
function staleness(write) {
  const seen = OWN.flatMap(([column, place]) => {
    const cell = state.cells.get(`${write.strategy}/${column}`);
    if (!cell) return [];
    const isStale = cell.stale_since_ms !== null;
    // The copy lacks only a later version.
    if (isStale && write.version !== null && (cell.version ?? 0) >= write.version) return [];
    const length = isStale ? now() - /** @type {number} */ (cell.stale_since_ms) : cell.stale_for_ms;
    return length === null ? [] : [{ place, length, isStale }];
  });
  const stale = seen.filter((it) => it.isStale);
  return (stale.length > 0 ? stale : seen).sort((a, b) => b.length - a.length)[0];
}

/** When the entry in Redis ends. @param {string} strategy */
function ending(strategy) {
  const expires = state.cells.get(`${strategy}/redis`)?.expires_at_ms;
  if (!expires) return "";
  const left = expires - now();
  return left > 0 ? `; the TTL ends in ${seconds(left)}` : "; the TTL is over, so the next read replaces the entry";
}

/** How an entry that no process removed was replaced. @param {Write} write @param {number} commit */
function replacement(write, commit) {
  const [soft, miss] = [firstOf("stale", keyOf(write), commit), firstOf("miss", keyOf(write), commit)];
  if (soft) return "the soft TTL ended, and the next read started a refresh";
  if (miss) return "the TTL ended, and the next read loaded the new value";
  return state.cells.get(`${write.strategy}/redis`)?.state === "absent" ? "the TTL ended, and the next read loads the new value" : "a read has replaced it";
}

/** @param {Report} removal @param {Write} write */
function means(removal, write) {
  if (removal.record.keys.includes(keyOf(write))) return "";
  const tags = tagsOf(keyOf(write)) ?? [];
  const tag = removal.record.tags.find((/** @type {string} */ it) => tags.includes(it)) ?? `product:${write.product_id}`;
  return ` by the tag ${tag},`;
}

/** @param {Write} write @param {number} commit @param {boolean} isStale */
function removalByAnyProcess(write, commit, isStale) {
  // An entry that is still stale has not been removed. Its tags are unknown until the page has seen it being stored.
  if (isStale || write.detail === "left") return undefined;
  return removalOf(keyOf(write), tagsOf(keyOf(write)) ?? [`product:${write.product_id}`], commit);
}

/** @param {Write} write @param {number} commit @param {Report|undefined} removal */
function whyRemovedByWriter(write, commit, removal) {
  const answered = lasted(write.acknowledged_ms - commit);
  if (write.detail === "stored") return `the writer stored version ${write.version}, and then answered, ${answered} after COMMIT`;
  if (!removal) return `the writer removed the entry, and then answered, ${answered} after COMMIT`;
  const at = lasted(removal.record.at_ms - commit);
  return `the writer removed the entry${means(removal, write)} ${at} after COMMIT, before it answered`;
}

/** @param {Write} write @param {number} commit @param {boolean} isStale */
function whyLeft(write, commit, isStale) {
  if (isStale) return `no process removes the entry${ending(write.strategy ?? "")}`;
  return `no process removed the entry; ${replacement(write, commit)}`;
}

/** @param {Write} write @param {number} commit @param {boolean} isStale @param {Report|undefined} removal */
function whyByEvent(write, commit, isStale, removal) {
  const published = publicationOf(state, write);
  const event = published ? `event ${published.event.seq}` : "the event";
  if (isStale && published && write.cause === "sql") return `no strategy was told, and ${event} does not remove this entry${ending(write.strategy ?? "")}`;
  if (isStale) return `the entry stays until ${event} removes it${ending(write.strategy ?? "")}`;
  const told = write.cause === "sql" ? "no strategy was told; " : "";
  if (!removal) return `${told}${replacement(write, commit)}`;
  const at = lasted(removal.record.at_ms - commit);
  // The relay invalidates by tag before it publishes; the listener invalidates by key after it has received the event.
  if (means(removal, write)) return `${told}the relay removed the entry${means(removal, write)} ${at} after COMMIT, before it published ${event}`;
  return `${told}the listener received ${event} and removed the entry ${at} after COMMIT`;
}

/** @param {Write} write @param {number} commit @param {Report|undefined} removal */
function whyDeferred(write, commit, removal) {
  const done = removal ? `; the entry was removed ${lasted(removal.record.at_ms - commit)} after COMMIT` : "";
  return `Redis did not acknowledge the invalidation, so the process repeats it${done}`;
}

/** What became of a write without a success response: the change may be committed. @param {Write} write @returns {Finding} */
function failureOf(write) {
  const row = state.truth.find((it) => it.strategy === write.strategy);
  const isCommitted = write.status === 0 && row && row.updated_at_ms >= write.at_ms - ROUNDING_MS;
  if (!isCommitted) {
    const why = write.status === 0 ? "the product API did not answer" : `the product API answered with status ${write.status}`;
    return { outcome: "unknown", figure: "write failed", why };
  }
  const seen = staleness(write);
  const isStale = seen?.isStale ?? false;
  const removal = removalByAnyProcess(write, row.updated_at_ms, isStale);
  const end = removal ? `; the entry was removed ${lasted(removal.record.at_ms - row.updated_at_ms)} after COMMIT` : isStale ? ending(row.strategy) : "";
  const why = `the product API committed the change, and did not answer${end}`;
  if (!seen) return { outcome: "unknown", figure: "no response", why };
  return { outcome: isStale ? "stale" : "was", figure: figureOf(seen), why };
}

/** @param {{isStale: boolean, length: number, place: string}} seen */
const figureOf = ({ isStale, length, place }) => `${isStale ? "" : "was "}stale for ${lasted(length)} in ${place}`;

/**
 * Whether a copy that was stale for this long was gone when the writer answered: it is no stale copy then, because the
 * write was not done yet. The console looks at the copies a few times a second, so a look may come later than the end.
 * @param {string} strategy @param {number} staleFor in ms since COMMIT
 */
export function isGoneInTime(strategy, staleFor) {
  const write = state.changes.at(-1)?.writes.find((it) => it.strategy === strategy);
  if (write?.status !== 200 || !isDone(write)) return false;
  return staleFor < write.acknowledged_ms - committedAt(state, write) + LOOK_MS;
}

/** Whether the writer has removed or replaced the entry, and no read has returned the old version since. @param {Write} write */
const isDone = (write) => (write.detail === "invalidated" || write.detail === "stored") && staleReadsAfter(write) === 0;

/** What became of the copies of one product. @param {Write} write @returns {Finding} */
export function findingOf(write) {
  if (write.status !== 200) return failureOf(write);
  const [commit, seen] = [committedAt(state, write), staleness(write)];
  const isStale = seen?.isStale ?? false;
  const removal = removalByAnyProcess(write, commit, isStale);
  const reads = staleReadsAfter(write);
  const returned = reads > 0 ? `; ${reads} ${reads === 1 ? "read" : "reads"} returned the old version` : "";
  if (isDone(write) && !(isStale && now() - write.acknowledged_ms > LOOK_MS)) return { outcome: "never", figure: "never stale after the response", why: whyRemovedByWriter(write, commit, removal) };
  const why = write.detail === "left" ? whyLeft(write, commit, isStale)
    : write.detail === "deferred" ? whyDeferred(write, commit, removal)
    : write.detail === "announced" || write.cause === "sql" ? whyByEvent(write, commit, isStale, removal)
    : `the product API reported “${write.detail ?? "nothing"}”`;
  if (!seen) return { outcome: "never", figure: "no copy was seen stale", why: (removal ? why : "no cache held the old version") + returned };
  return { outcome: isStale ? "stale" : "was", figure: figureOf(seen), why: why + returned };
}

/** What became of the old name of the category in the entry of a strategy. @param {Write} rename @param {import("./store.js").Row} row @returns {Finding} */
export function renameFindingOf(rename, row) {
  const write = { ...rename, strategy: row.strategy, product_id: row.id };
  const [commit, key, tag] = [committedAt(state, rename), keyOf(write), `category:${row.category.id}`];
  const tags = tagsOf(key);
  if (!tags) return { outcome: "unknown", figure: "not observed", why: "the page has not seen the entry being stored, so it does not know its tags" };
  const removal = tags.includes(tag) ? removalOf(key, [tag], commit) : undefined;
  if (removal) {
    const at = lasted(removal.record.at_ms - commit);
    const isInTime = removal.record.at_ms <= rename.acknowledged_ms + ROUNDING_MS;
    const figure = isInTime ? "old name never served after the response" : `old name kept for ${at}`;
    return { outcome: isInTime ? "never" : "was", figure, why: `the ${isInTime ? "writer" : "relay"} found the entry by its tag ${tag}, and removed it ${at} after COMMIT` };
  }
  const fill = firstOf("fill", key, commit);
  if (fill) return { outcome: "was", figure: `old name kept for ${lasted(fill.record.at_ms - commit)}`, why: `the entry has no tag of the category; ${replacement(write, commit)}` };
  return { outcome: "stale", figure: `old name kept for ${lasted(now() - commit)}`, why: `the entry has no tag of the category, so no process removes it${ending(row.strategy)}` };
}
