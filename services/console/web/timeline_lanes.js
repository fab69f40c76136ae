// The steps of one write, on the lanes of the processes that took them.
import { count, ms } from "./format.js";
import { now, state } from "./live.js";
import { committedAt, firstReadOf, isKept, keyOf, publicationOf, reportsOf, serviceOf } from "./trail.js";

/**
 * @typedef {import("./store.js").Write} Write
 * @typedef {import("./trail.js").Report} Report
 * @typedef {{id: string, at: number, kind: string, text: string, raw: any, note?: string}} Step  `at` in ms since COMMIT
 * @typedef {{id: string, title: string, steps: Step[], gaps: {from: number, text: string}[]}} Lane
 */

/** Within this time, an event that has not arrived is not missed yet. */
const DELIVERY_MS = 1000;
const FILLS = 3;

/** @param {string[]} names */
const listed = (names) => names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");

/** @param {string} service */
const processes = (service) => state.config.services.filter((/** @type {any} */ it) => serviceOf(it.name) === service).map((/** @type {any} */ it) => it.name);

/** The number of the write's event: as published, or as a service has received it. @param {Write} write */
export function seqOf(write) {
  const published = publicationOf(state, write);
  if (published) return /** @type {number} */ (published.event.seq);
  const about = write.product_id === null ? "category:" : `product:${write.product_id}`;
  const received = reportsOf("event", committedAt(state, write)).find((it) => it.record.about?.startsWith(about)
    && (write.product_id === null || it.record.about === about));
  return /** @type {number|undefined} */ (received?.record.seq);
}

/** @param {Write} write @param {number} commit @returns {Lane} */
function writerLane(write, commit) {
  const change = write.cause === "sql" ? "SQL statement" : "product API";
  // Without a response and without an event, nothing shows that the change is committed.
  const isCommitted = write.commit_ms !== null || publicationOf(state, write) !== undefined;
  const text = isCommitted ? `COMMIT${write.version === null ? "" : ` of version ${write.version}`} (${change})` : "request sent";
  const steps = [{ id: "commit", at: 0, kind: "commit", text, raw: write }];
  if (write.cause !== "sql") {
    const answer = write.status === 0 ? "no response" : `response ${write.status}, detail=${write.detail ?? "none"}`;
    steps.push({ id: "response", at: write.acknowledged_ms - commit, kind: "response", text: answer, raw: write });
  }
  return { id: "writer", title: "Writer", steps, gaps: [] };
}

/** The events between `seq` and the one that was published before it. @param {any} publication */
function missingBefore(publication) {
  const before = state.published[state.published.indexOf(publication) - 1]?.event.seq;
  const seq = publication.event.seq;
  if (before === undefined || before >= seq - 1) return undefined;
  return before === seq - 2 ? `event ${seq - 1} is missing before it` : `events ${before + 1} to ${seq - 1} are missing before it`;
}

/** @param {Write} write @param {number} commit @param {any} logged the event in the outbox @returns {Lane} */
function relayLane(write, commit, logged) {
  const publication = publicationOf(state, write);
  /** @type {Step[]} */
  const steps = [];
  if (logged) steps.push({ id: "outbox", at: Date.parse(logged.occurred_at) - commit, kind: "outbox", text: `in the outbox as event ${logged.seq}`, raw: logged });
  if (publication) {
    // The console hears of it when the services do, and may be later than them: it was published before any received it.
    const received = reportsOf("event", commit).filter((it) => it.record.seq === publication.event.seq).map((it) => it.record.at_ms);
    steps.push({ id: "published", at: Math.min(publication.at_ms, ...received) - commit, kind: "published", text: `published event ${publication.event.seq}`, raw: publication.event, note: missingBefore(publication) });
  }
  const isLate = !publication && now() - commit > DELIVERY_MS;
  return { id: "relay", title: "Outbox and relay", steps, gaps: isLate ? [{ from: 0, text: "the console has not seen the event on the channel" }] : [] };
}

/** What an invalidation names of this write. @param {any} record @param {Write} write */
function namesOf(record, write) {
  const own = (/** @type {string} */ name) => (write.product_id === null
    ? name.startsWith("category:")
    : name === `product:${write.product_id}` || name === keyOf(write));
  return record.everything ? ["the whole keyspace"] : [...record.keys, ...record.tags].filter(own);
}

/** @param {any} record @param {string[]} names */
function removalText(record, names) {
  if (record.soft) return `marked as stale what has ${listed(names)}`;
  if (record.entries === null) return `deferred the removal by ${listed(names)}`;
  if (record.everything) return "purged its keyspace";
  if (record.entries === 0) return `found no entry for ${listed(names)}`;
  return `removed ${count(record.entries)} ${record.entries === 1 ? "entry" : "entries"}, by ${listed(names)}`;
}

/** @param {Report} report @param {Write} write @param {number} commit @param {number|undefined} seq @returns {Step[]} */
function stepsOf({ service, record }, write, commit, seq) {
  const step = (/** @type {string} */ kind, /** @type {string} */ text) => [{ id: `${service}-${kind}-${record.at_ms}-${record.key ?? record.seq ?? ""}`,
    at: record.at_ms - commit, kind, text: processes(serviceOf(service)).length > 1 ? `${service} ${text}` : text, raw: record }];
  if (record.kind === "event") return record.seq === seq ? step("received", `received event ${seq}`) : [];
  if (record.kind === "invalidate") {
    const names = namesOf(record, write);
    return names.length > 0 ? step("removed", removalText(record, names)) : [];
  }
  const isOwn = record.key === keyOf(write) || record.key?.endsWith(`:product:${write.product_id}`)
    || (record.tags ?? []).includes(`product:${write.product_id}`);
  if (record.kind === "fill" && isOwn) return step("filled", `stored ${record.key}`);
  return record.kind === "refused" && isOwn ? step("refused", `refused to store ${record.key}: ${record.detail}`) : [];
}

/** Whether each process of a service receives every event: seen from events that two of them have received. @param {string} service */
function isBroadcast(service) {
  const seen = new Map();
  return reportsOf("event", 0, service).some((it) => {
    const other = seen.get(it.record.seq);
    seen.set(it.record.seq, it.service);
    return other !== undefined && other !== it.service;
  });
}

/** @param {string} service @param {Step[]} steps @param {Write} write @param {number} commit @param {number|undefined} seq */
function missed(service, steps, write, commit, seq) {
  const publication = publicationOf(state, write);
  if (!publication || now() - publication.at_ms < DELIVERY_MS || !isKept(commit)) return [];
  const received = steps.filter((it) => it.kind === "received");
  const all = processes(service);
  const from = publication.at_ms - commit;
  if (received.length === 0) return [{ from, text: `${service} has not received event ${seq}` }];
  if (all.length === 1 || !isBroadcast(service)) return [];
  const absent = all.filter((/** @type {string} */ name) => !received.some((it) => it.text.startsWith(`${name} `)));
  return absent.map((/** @type {string} */ name) => ({ from, text: `${name} has not received event ${seq}` }));
}

/** Names late and repeated deliveries. @param {Step[]} received @param {any} publication @param {number} commit */
function markDeliveries(received, publication, commit) {
  const [first] = received;
  const late = first && publication ? first.at - (publication.at_ms - commit) : 0;
  if (late > DELIVERY_MS) first.note = `${ms(Math.round(late))} after the relay published it`;
  const seen = new Set();
  for (const step of received) {
    if (seen.has(step.text)) step.text += " again";
    else seen.add(step.text);
  }
}

/** @param {string} service @param {string} title @param {Write} write @param {number} commit @param {number} until @returns {Lane} */
function serviceLane(service, title, write, commit, until) {
  const seq = seqOf(write);
  const reports = ["event", "invalidate", "fill", "refused"].flatMap((kind) => reportsOf(kind, commit, service)).filter((it) => it.record.at_ms < until);
  const all = reports.flatMap((it) => stepsOf(it, write, commit, seq)).sort((a, b) => a.at - b.at);
  // Only the first fills belong to this write: later ones replace entries whose TTL has ended. Refusals repeat with each read.
  const counts = { filled: 0, refused: 0 };
  const steps = all.filter(({ kind }) => (kind !== "filled" && kind !== "refused") || ++counts[kind] <= FILLS);
  markDeliveries(steps.filter((it) => it.kind === "received"), publicationOf(state, write), commit);
  return { id: service, title, steps, gaps: missed(service, steps, write, commit, seq) };
}

/** @param {Write} write @param {number} commit @returns {Lane[]} */
function readLane(write, commit) {
  const read = write.strategy ? firstReadOf(write) : undefined;
  if (!write.strategy || write.version === null) return [];
  const steps = read ? [{ id: "read", at: read.at_ms - commit, kind: "read", text: `first read of version ${write.version}, from ${read.source}, in ${ms(read.ms)}`, raw: read }] : [];
  const gaps = !read && isKept(commit) ? [{ from: 0, text: `no read has returned version ${write.version} yet` }] : [];
  return [{ id: "reader", title: "The console's reads", steps, gaps }];
}

/** The lanes of a write. @param {Write} write @param {any} logged its event in the outbox @param {number} until when the next write of the row began @returns {Lane[]} */
export function lanesOf(write, logged, until) {
  const commit = committedAt(state, write);
  const names = state.config.services.filter((/** @type {any} */ it) => it.replica === 1);
  return [
    writerLane(write, commit),
    relayLane(write, commit, logged),
    ...names.map((/** @type {any} */ it) => serviceLane(it.name, it.title, write, commit, until)),
    ...readLane(write, commit),
  ];
}
