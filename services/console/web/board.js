// The first view: what the database has, what each cache holds of it, and what became of the latest change.
import { html } from "./vendor/htm-preact.js";
import { price, seconds } from "./format.js";
import { now, state } from "./live.js";
import { StateMark, useFrames, useLive } from "./parts.js";
import { columns } from "./store.js";
import { Answer, LastWrite } from "./last_write.js";
import { isGoneInTime, lasted } from "./reasons.js";
import { TruthBar } from "./truth_bar.js";

/** @typedef {import("./store.js").Cell} Cell */

const PLACES = /** @type {Record<string, string>} */ ({
  "near-1": "memory of the process",
  redis: "shared by processes",
  cart: "cart view",
  search: "result page",
  recommendation: "product list",
});
const OWN = ["near-1", "near-2", "redis"];

/** How long the copy has been stale, or was. @param {{strategy: string, cell: Cell}} props */
function Staleness({ strategy, cell }) {
  if (cell.stale_since_ms !== null) return html`<strong class="cell-stale">stale for ${lasted(now() - cell.stale_since_ms)}</strong>`;
  if (cell.stale_for_ms !== null && OWN.includes(cell.column) && isGoneInTime(strategy, cell.stale_for_ms)) return html`<span class="cell-detail">replaced in time</span>`;
  if (cell.stale_for_ms !== null) return html`<span class="cell-was">was stale for ${lasted(cell.stale_for_ms)}</span>`;
  return cell.detail && html`<span class="cell-detail">${cell.detail}</span>`;
}

/** @param {{cell: Cell}} props */
function Lifetime({ cell }) {
  if (cell.expires_at_ms === null) return null;
  const left = cell.expires_at_ms - now();
  return html`<span class="cell-ttl">${left > 0 ? `TTL ${seconds(left)}` : "TTL is over"}</span>`;
}

/** @param {{strategy: string, column: {id: string, title: string}}} props */
function CellView({ strategy, column }) {
  const cell = state.cells.get(`${strategy}/${column.id}`);
  const isUnused = cell?.state === "absent" && cell.detail && cell.stale_for_ms === null;
  return html`<td role="cell" class="cell ${isUnused ? "is-unused" : ""}" data-strategy=${strategy} data-column=${column.id}
    data-state=${cell?.state ?? "unknown"} data-title=${column.title}>
    ${cell && html`<div class="cell-box">
      <span class="cell-line"><${StateMark} state=${cell.state} />${cell.version !== null && html`<span class="cell-version">v${cell.version}</span>`}</span>
      <${Lifetime} cell=${cell} />
      <${Staleness} strategy=${strategy} cell=${cell} />
    </div>`}
  </td>`;
}

/** Text in which `code` is marked. @param {{text: string}} props */
function Marked({ text }) {
  return text.split("`").map((part, i) => (i % 2 ? html`<code>${part}</code>` : part));
}

/** @param {{strategy: any, all: {id: string, title: string}[]}} props */
function Row({ strategy, all }) {
  const row = state.truth.find((it) => it.strategy === strategy.name);
  return html`<tr role="row" data-strategy=${strategy.name}>
    <th role="rowheader" scope="row" class="board-strategy">
      <a href="#explain=${strategy.name}"><span class="board-number">${strategy.number}</span>${strategy.title}</a>
      <span class="board-summary" title=${strategy.summary}><${Marked} text=${strategy.summary} /></span>
    </th>
    <td role="cell" class="board-truth" data-strategy=${strategy.name} data-column="database" data-title="Database">
      ${row && html`<span class="cell-line"><strong>${price(row.price_cents)}</strong><span class="cell-version">v${row.version}</span></span>
        <span class="board-product">${row.name}</span>`}
    </td>
    ${all.map((column) => html`<${CellView} key=${column.id} strategy=${strategy.name} column=${column} />`)}
  </tr>`;
}

/** @param {{column: {id: string, title: string}}} props */
function Head({ column }) {
  const [title, process] = column.title.split(", ");
  return html`<th role="columnheader" scope="col">${title}<small>${process ?? PLACES[column.id]}</small></th>`;
}

/** @param {{all: {id: string, title: string}[]}} props */
function Heads({ all }) {
  const own = all.filter((it) => OWN.includes(it.id)).length;
  return html`<thead role="rowgroup">
    <tr role="row" class="board-groups">
      <th role="columnheader" rowspan="2" scope="col">Strategy</th>
      <th role="columnheader" rowspan="2" scope="col">Database</th>
      <th role="columnheader" colspan=${own} scope="colgroup">Product API: each row has its own strategy</th>
      <th role="columnheader" colspan=${all.length - own} scope="colgroup">Other services: they follow events</th>
    </tr>
    <tr role="row">${all.map((column) => html`<${Head} key=${column.id} column=${column} />`)}</tr>
  </thead>`;
}

/** Tells a screen reader which strategies are stale: the counters themselves would never be silent. */
function Announcement() {
  const stale = state.config.strategies.filter((/** @type {any} */ strategy) =>
    OWN.some((column) => state.cells.get(`${strategy.name}/${column}`)?.state === "stale"));
  const names = stale.map((/** @type {any} */ strategy) => strategy.title).join(", ");
  return html`<p class="hidden" role="status" id="board-status">${names ? `Stale in the product API: ${names}.` : "No entry of the product API is stale."}</p>`;
}

function Legend() {
  return html`<p class="board-legend">
    <span><${StateMark} state="fresh" /> has the latest version</span>
    <span><${StateMark} state="stale" /> lacks a committed version</span>
    <span><${StateMark} state="absent" /> has no copy; the next read loads one</span>
    <span><${StateMark} state="loading" /> a process loads it now</span>
    <span><${StateMark} state="refreshing" /> is replaced in the background</span>
    <span><strong>replaced in time</strong> gone soon after COMMIT, and no read after the response returned it</span>
    <span><strong>v12</strong> version of the row</span>
    <span><strong>TTL</strong> time to live</span>
  </p>`;
}

export function Board() {
  useLive();
  const isCounting = [...state.cells.values()].some((cell) => cell.stale_since_ms !== null);
  useFrames(isCounting && state.connected);
  const all = columns(state);
  return html`<div class="board">
    <h1 class="board-lead" id="board-title">Press <strong>Change price</strong>. Seven products, one for each strategy, get a new price. See which caches still hold the old one, and for how long.</h1>
    <${TruthBar} />
    <${Answer} />
    <${Announcement} />
    <div class="panel board-panel scroll" tabindex="0" role="region" aria-labelledby="board-title">
      <table role="table" class="board-table" id="board" aria-labelledby="board-title">
        <${Heads} all=${all} />
        <tbody role="rowgroup">${state.config.strategies.map((/** @type {any} */ it) => html`<${Row} key=${it.name} strategy=${it} all=${all} />`)}</tbody>
      </table>
    </div>
    <${Legend} />
    <${LastWrite} />
  </div>`;
}
