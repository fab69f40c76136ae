// The keyspace: what each service holds in Redis, page by page, with the means to remove it or to mark it as stale.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { get, post } from "./api.js";
import { clock, count, seconds } from "./format.js";
import { now, state } from "./live.js";
import { Action, Section } from "./parts.js";

/**
 * @typedef {{key: string, state: string, age_ms: number|null, ttl_ms: number|null, expires_in_ms: number,
 *   soft_ttl_ms: number|null, hard_ttl_ms: number|null, version: number|null, tags: string[], size_bytes: number|null,
 *   seen_at_ms: number}} Entry
 */

const PAGE = 50;
/** More entries would make the page slow, and no person reads them. */
const MOST = 500;
/** The pause before the pages are read again after a failure. */
const RETRY_MS = 2_000;
/** Tags that a row shows; its details show all of them. */
const FEW = 3;
/** The states of /cache/entries: a mark, a word, the colours of a state of the board, and what the state means. */
const STATES = /** @type {Record<string, {mark: string, word: string, look: string, means: string}>} */ ({
  fresh: { mark: "●", word: "fresh", look: "fresh", means: "A read returns this value." },
  stale: { mark: "▲", word: "stale", look: "stale", means: "The soft TTL has passed, or the entry was marked as stale. The next read refreshes it." },
  expired: { mark: "▼", word: "expired", look: "stale", means: "The hard TTL has passed. The value is served only when a load fails." },
  absent: { mark: "○", word: "“not found”", look: "absent", means: "The loader found no such object, and the cache keeps that result." },
  leased: { mark: "◐", word: "leased", look: "loading", means: "A process loads or writes this entry now." },
  unreadable: { mark: "?", word: "unreadable", look: "unknown", means: "This version of the service cannot read the value." },
});
const stateOf = (/** @type {string} */ name) => STATES[name] ?? STATES.unreadable;

/** @param {string} service @param {{keys?: string[], tags?: string[], soft?: boolean}} names */
async function invalidate(service, names) {
  const { status, json } = await post(`/api/${service}/cache/invalidations`, names);
  if (status === 202) return "deferred: Redis does not answer. The service repeats the invalidation until it succeeds.";
  const what = json.entries === 1 ? "1 entry was invalidated" : `${count(json.entries)} entries were invalidated`;
  return `${what} (${names.soft ? "marked as stale" : "removed"}).`;
}

/** What the processes of the product API hold of an entry in their memory. @param {{entry: Entry}} props */
function InMemory({ entry }) {
  const [held, setHeld] = useState(/** @type {string[]} */ ([]));
  const processes = state.config.services.filter((/** @type {any} */ it) => it.name.startsWith("product-api"));
  useEffect(() => {
    const look = async (/** @type {any} */ process) => {
      try {
        const { json } = await get(`/api/${process.name}/cache/near/${entry.key}`);
        return `${process.name}: version ${json.version}, ${json.is_servable ? "served from memory" : "held, but not served"}`;
      } catch (error) {
        return `${process.name}: ${error instanceof Error && "status" in error && error.status === 404 ? "not in memory" : "no answer"}`;
      }
    };
    Promise.all(processes.map(look)).then(setHeld);
  }, [entry.key, entry.seen_at_ms]);
  return html`<p class="row in-memory"><strong>In memory</strong> ${held.map((line) => html`<span key=${line} class="badge">${line}</span>`)}</p>`;
}

/**
 * @typedef {{service: string, entry: Entry, isOpen: boolean, toggle: () => void, filter: (tag: string) => void,
 *   act: (about: string, names: {keys?: string[], tags?: string[], soft?: boolean}) => Promise<void>}} RowProps
 */

/** What can be done with an entry and with each of its tags. @param {RowProps} props */
function Details({ service, entry, act }) {
  return html`<tr class="details" data-details=${entry.key}><td colspan="8"><div class="inner">
    <p>${stateOf(entry.state).means}${entry.hard_ttl_ms === null ? "" : ` Stored with a soft TTL of ${seconds(entry.soft_ttl_ms ?? 0)} and a hard TTL of ${seconds(entry.hard_ttl_ms)}.`}</p>
    ${service.startsWith("product-api") && entry.key.startsWith("product:production:") && html`<${InMemory} entry=${entry} />`}
    <div class="row">
      <${Action} kind="danger" id="remove-entry" act=${() => act(entry.key, { keys: [entry.key] })}>Remove<//>
      <${Action} id="expire-entry" act=${() => act(entry.key, { keys: [entry.key], soft: true })}>Mark as stale<//>
    </div>
    ${entry.tags.length > 0 && html`<ul class="tags" aria-label="Tags">${entry.tags.map((tag) => html`<li key=${tag} class="row" data-tag=${tag}>
      <code>${tag}</code>
      <${Action} kind="danger" act=${() => act(`Tag ${tag}`, { tags: [tag] })}>Remove all with this tag<//>
      <${Action} act=${() => act(`Tag ${tag}`, { tags: [tag], soft: true })}>Mark all as stale<//>
    </li>`)}</ul>`}
  </div></td></tr>`;
}

/** @param {number|null} ttl the remaining freshness, in ms */
const freshFor = (ttl) => (ttl === null ? "–" : ttl < 0 ? `ended ${seconds(-ttl)} ago` : seconds(ttl));

/** @param {RowProps} props */
function Row(props) {
  const { entry, isOpen, toggle, filter } = props;
  const { mark, word, look } = stateOf(entry.state);
  const more = entry.tags.length - FEW;
  return html`
    <tr data-key=${entry.key} data-state=${entry.state}>
      <th scope="row"><button type="button" class="link mono" aria-expanded=${isOpen} onClick=${toggle}>${entry.key}</button></th>
      <td><span class="state state-${look}"><span aria-hidden="true">${mark}</span> ${word}</span></td>
      <td class="number">${entry.version ?? "–"}</td>
      <td class="number">${entry.age_ms === null ? "–" : seconds(entry.age_ms)}</td>
      <td class="number">${freshFor(entry.ttl_ms)}</td>
      <td class="number mono">${clock(entry.seen_at_ms + entry.expires_in_ms)}</td>
      <td class="number">${entry.size_bytes === null ? "–" : count(entry.size_bytes)}</td>
      <td class="chips">${entry.tags.slice(0, FEW).map((tag) => html`<button key=${tag} type="button" class="chip mono" title="Show the entries with this tag"
        onClick=${() => filter(tag)}>${tag}</button>`)}${more > 0 && html`<span class="soft">and ${more} more</span>`}</td>
    </tr>
    ${isOpen && html`<${Details} ...${props} />`}`;
}

/** @param {any[]} entries @returns {Entry[]} */
const stamped = (entries) => entries.map((entry) => ({ ...entry, seen_at_ms: now() }));

/**
 * The entries of a service that are loaded: page by page, and again from the first page up to as many.
 * @param {string} service
 */
function useEntries(service) {
  const [entries, setEntries] = useState(/** @type {Entry[]} */ ([]));
  const [cursor, setCursor] = useState(/** @type {string|null} */ (null));
  const [error, setError] = useState("");
  /** The key that was looked up: a page that is read again need not contain it. */
  const wanted = useRef("");
  // An answer about a service that is no longer chosen must not replace the entries of the chosen one.
  const chosen = useRef(service);
  chosen.current = service;

  const read = async (/** @type {string|null} */ from, /** @type {Entry[]} */ before, /** @type {number} */ enough) => {
    const known = new Map(before.map((entry) => [entry.key, entry]));
    let next = from;
    try {
      // A page may be empty although others follow.
      do {
        const { json } = await get(`/api/${service}/cache/entries?limit=${PAGE}${next ? `&cursor=${encodeURIComponent(next)}` : ""}`);
        for (const entry of stamped(json.entries)) known.set(entry.key, entry);
        next = json.next_cursor;
      } while (next && known.size < Math.min(enough, MOST));
    } catch (caught) {
      if (chosen.current === service) setError(caught instanceof Error ? caught.message : String(caught));
      return;
    }
    if (chosen.current !== service) return;
    setEntries([...known.values()].slice(0, MOST));
    setCursor(known.size >= MOST ? null : next);
    setError("");
  };
  const lookUp = async (/** @type {string} */ key) => {
    const { json } = await get(`/api/${service}/cache/stats/${encodeURIComponent(key)}`);
    wanted.current = key;
    setEntries((/** @type {Entry[]} */ before) => [...stamped([json]), ...before.filter((entry) => entry.key !== key)].slice(0, MOST));
  };
  const reload = async () => {
    // The key that was looked up is not counted, or each reload would load one more page.
    await read(null, [], Math.max(1, entries.length - (wanted.current ? 1 : 0)));
    // A key that is gone is shown by its absence.
    if (wanted.current) await lookUp(wanted.current).catch(() => undefined);
  };
  // Redis may have been away for a moment; meanwhile entries that were removed are still shown.
  useEffect(() => {
    if (!error) return undefined;
    const again = setInterval(reload, RETRY_MS);
    return () => clearInterval(again);
  }, [service, error, entries.length]);
  useEffect(() => {
    wanted.current = "";
    setEntries([]);
    setCursor(null);
    setError("");
    read(null, [], 1);
  }, [service]);
  return { entries, error, more: cursor ? () => read(cursor, entries, entries.length + 1) : null, reload, lookUp };
}

/** The view of the keyspace. */
export function Keyspace() {
  const [service, setService] = useState("product-api");
  const [filter, setFilter] = useState("");
  const [open, setOpen] = useState("");
  const [report, setReport] = useState("");
  const { entries, error, more, reload, lookUp } = useEntries(service);
  const shown = entries.filter((entry) => !filter || entry.key.includes(filter) || entry.tags.some((tag) => tag.includes(filter)));
  shown.sort((one, other) => one.key.localeCompare(other.key, "en", { numeric: true }));
  const act = async (/** @type {string} */ about, /** @type {object} */ names) => {
    setReport(`${about}: ${await invalidate(service, names)}`);
    await reload();
  };
  const choose = (/** @type {string} */ name) => {
    setService(name);
    setOpen("");
    setReport("");
  };
  return html`<${Section} id="keyspace" title="Keyspace"
    lead="What each service holds in Redis. An invalidation removes an entry or marks it as stale, as a write would.">
    <div class="panel">
      <div class="row filters">
        <label>Service <select id="keyspace-service" value=${service} onChange=${(/** @type {any} */ event) => choose(event.target.value)}>
          ${(state.config?.services ?? []).filter((/** @type {any} */ it) => it.replica === 1).map((/** @type {any} */ it) => html`<option key=${it.name} value=${it.name}>${it.name}</option>`)}
        </select></label>
        <label>Key or tag <input type="search" id="keyspace-filter" value=${filter} onInput=${(/** @type {any} */ event) => setFilter(event.target.value.trim())} /></label>
        <${Action} id="look-up" disabled=${!filter.startsWith(`${service.replace("product-api", "product")}:`)} act=${() => lookUp(filter)}>Look this key up<//>
        <${Action} id="reload-entries" act=${reload}>Reload<//>
      </div>
      <p class="soft">Type to filter the loaded entries. A whole key, such as <code>product:production:1</code>, can also be looked up.</p>
      <p id="keyspace-report" role="status">${report}</p>
      ${error && html`<p class="error" role="alert">${error}</p>`}
      <div class="scroll" tabindex="0" role="region" aria-label="Entries"><table id="entries">
        <thead><tr><th>Key</th><th>State</th><th class="number">Version</th><th class="number">Age</th><th class="number">Fresh for</th>
          <th class="number">Redis removes it at (UTC)</th><th class="number">Bytes</th><th>Tags</th></tr></thead>
        <tbody>${shown.map((entry) => html`<${Row} key=${entry.key} service=${service} entry=${entry} act=${act} filter=${setFilter}
          isOpen=${open === entry.key} toggle=${() => setOpen(open === entry.key ? "" : entry.key)} />`)}</tbody>
      </table></div>
      <div class="row below">
        ${more && html`<${Action} id="more-entries" act=${more}>Load more<//>`}
        <span class="soft" id="entries-count">${count(shown.length)} of ${count(entries.length)} loaded entries are shown.
          ${entries.length >= MOST ? ` The page loads at most ${count(MOST)}.` : more || error ? "" : " The keyspace has no others."}</span>
      </div>
    </div>
  <//>`;
}
