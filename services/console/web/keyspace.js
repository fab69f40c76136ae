// The keyspace: what each service holds in Redis, page by page, with the means to remove it or to mark it as stale.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { get, post } from "./api.js";
import { clock, count, ms, seconds } from "./format.js";
import { now, state } from "./live.js";
import { Action, Section, StateMark, useLive } from "./parts.js";

/**
 * @typedef {{key: string, state: string, age_ms: number|null, ttl_ms: number|null, expires_in_ms: number,
 *   soft_ttl_ms: number|null, hard_ttl_ms: number|null, version: number|null, tags: string[], size_bytes: number|null,
 *   seen_at_ms: number}} Entry
 */

const PAGE = 50;
/** More entries would make the page slow, and no person reads them. */
const MOST = 500;
/** The marks of the board, for the states of /cache/entries. */
const MARKS = /** @type {Record<string, string>} */ ({ fresh: "fresh", stale: "refreshing", expired: "stale", absent: "absent", leased: "loading" });
const WORDS = /** @type {Record<string, string>} */ ({ stale: "past its soft TTL", expired: "expired", absent: "“not found”", leased: "being loaded", unreadable: "unreadable" });

/** @param {string} service @param {object} names */
async function invalidate(service, names) {
  const { status, json } = await post(`/api/${service}/cache/invalidations`, names);
  if (status === 202) return "Redis does not answer. The invalidation is deferred: the service repeats it until it succeeds.";
  return json.entries === 1 ? "1 entry was invalidated." : `${count(json.entries)} entries were invalidated.`;
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
  }, [entry.key]);
  return html`<p>${held.map((line) => html`<span key=${line} class="badge">${line}</span> `)}</p>`;
}

/** @param {{service: string, entry: Entry, report: (text: string) => void, reload: () => void}} props */
function Row({ service, entry, report, reload }) {
  const [open, setOpen] = useState(false);
  const act = async (/** @type {object} */ names) => {
    report(await invalidate(service, names));
    reload();
  };
  const mark = MARKS[entry.state] ?? "unknown";
  const expires = entry.seen_at_ms + entry.expires_in_ms;
  return html`
    <tr data-key=${entry.key} data-state=${entry.state}>
      <th scope="row"><button type="button" class="link mono" aria-expanded=${open} onClick=${() => setOpen(!open)}>${entry.key}</button></th>
      <td><${StateMark} state=${mark} /> <span class="soft">${WORDS[entry.state] ?? ""}</span></td>
      <td class="number">${entry.version ?? "–"}</td>
      <td class="number">${entry.age_ms === null ? "–" : seconds(entry.age_ms)}</td>
      <td class="number">${entry.ttl_ms === null ? "–" : seconds(entry.ttl_ms)}</td>
      <td class="number mono">${clock(expires)}</td>
      <td class="number">${entry.size_bytes === null ? "–" : count(entry.size_bytes)}</td>
    </tr>
    ${open && html`<tr class="details"><td colspan="7">
      <p>Stored with a soft TTL of ${ms(entry.soft_ttl_ms)} and a hard TTL of ${ms(entry.hard_ttl_ms)}.</p>
      ${service.startsWith("product-api") && html`<${InMemory} entry=${entry} />`}
      <div class="row">
        <${Action} kind="danger" id="remove-entry" act=${() => act({ keys: [entry.key] })}>Remove<//>
        <${Action} id="expire-entry" act=${() => act({ keys: [entry.key], soft: true })}>Mark as stale<//>
      </div>
      ${entry.tags.length > 0 && html`<ul class="tags" aria-label="Tags">${entry.tags.map((tag) => html`<li key=${tag} class="row">
        <code>${tag}</code>
        <${Action} kind="danger" act=${() => act({ tags: [tag] })}>Remove all with this tag<//>
        <${Action} act=${() => act({ tags: [tag], soft: true })}>Mark all as stale<//>
      </li>`)}</ul>`}
    </td></tr>`}`;
}

/** @param {any[]} entries @returns {Entry[]} */
const stamped = (entries) => entries.map((entry) => ({ ...entry, seen_at_ms: now() }));

/** @param {string} service */
function useEntries(service) {
  const [entries, setEntries] = useState(/** @type {Entry[]} */ ([]));
  const [cursor, setCursor] = useState(/** @type {string|null} */ (null));
  const [error, setError] = useState("");
  const page = async (/** @type {string|null} */ from, /** @type {Entry[]} */ before) => {
    try {
      const { json } = await get(`/api/${service}/cache/entries?limit=${PAGE}${from ? `&cursor=${from}` : ""}`);
      const known = new Map([...before, ...stamped(json.entries)].map((entry) => [entry.key, entry]));
      setEntries([...known.values()].slice(0, MOST));
      setCursor(known.size >= MOST ? null : json.next_cursor);
      setError("");
    } catch (caught) {
      setError(caught instanceof Error ? caught.message : String(caught));
    }
  };
  useEffect(() => {
    setEntries([]);
    page(null, []);
  }, [service]);
  return { entries, error, more: cursor ? () => page(cursor, entries) : null, reload: () => page(null, []), setEntries };
}

/** The view of the keyspace. */
export function Keyspace() {
  useLive();
  const [service, setService] = useState("product-api");
  const [filter, setFilter] = useState("");
  const [report, setReport] = useState("");
  const { entries, error, more, reload, setEntries } = useEntries(service);
  const shown = entries.filter((entry) => !filter || entry.key.includes(filter) || entry.tags.some((tag) => tag.includes(filter)));
  shown.sort((one, other) => one.key.localeCompare(other.key, "en", { numeric: true }));
  const lookUp = async () => {
    const { json } = await get(`/api/${service}/cache/stats/${filter}`);
    setEntries([...stamped([json]), ...entries.filter((entry) => entry.key !== json.key)].slice(0, MOST));
  };
  return html`<${Section} id="keyspace" title="Keyspace"
    lead="What each service holds in Redis. An invalidation removes an entry or marks it as stale, as a write would.">
    <div class="panel">
      <div class="row filters">
        <label>Service <select id="keyspace-service" value=${service} onChange=${(/** @type {any} */ event) => setService(event.target.value)}>
          ${(state.config?.services ?? []).filter((/** @type {any} */ it) => it.replica === 1).map((/** @type {any} */ it) => html`<option key=${it.name} value=${it.name}>${it.name}</option>`)}
        </select></label>
        <label>Key or tag <input type="search" id="keyspace-filter" value=${filter} onInput=${(/** @type {any} */ event) => setFilter(event.target.value.trim())} /></label>
        <${Action} id="look-up" disabled=${!filter.startsWith(`${service.replace("product-api", "product")}:`)} act=${lookUp}>Look this key up<//>
        <${Action} id="reload-entries" act=${async () => reload()}>Reload<//>
      </div>
      <p id="keyspace-report" role="status">${report}</p>
      ${error && html`<p class="error" role="alert">${error}</p>`}
      <div class="scroll" tabindex="0" role="region" aria-label="Entries"><table id="entries">
        <thead><tr><th>Key</th><th>State</th><th class="number">Version</th><th class="number">Age</th><th class="number">Fresh for</th>
          <th class="number">Redis removes it at (UTC)</th><th class="number">Bytes</th></tr></thead>
        <tbody>${shown.map((entry) => html`<${Row} key=${entry.key} service=${service} entry=${entry} report=${setReport} reload=${reload} />`)}</tbody>
      </table></div>
      <p class="soft">${count(shown.length)} of ${count(entries.length)} loaded entries are shown.
        ${entries.length >= MOST ? ` The page loads at most ${count(MOST)}.` : ""}</p>
      ${more && html`<${Action} id="more-entries" act=${more}>Load more<//>`}
    </div>
  <//>`;
}
