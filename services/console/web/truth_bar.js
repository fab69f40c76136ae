// What the database has now, and the buttons that change it.
import { html } from "./vendor/htm-preact.js";
import { post } from "./api.js";
import { clock, price, seconds } from "./format.js";
import { now, state } from "./live.js";
import { Action } from "./parts.js";

/** `217.00`, or `216.00 to 217.00` if the products differ. @param {number[]} values @param {(value: number) => string} text */
function range(values, text) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low === high ? text(low) : `${text(low)} to ${text(high)}`;
}

/** @param {{rows: import("./store.js").Row[]}} props */
function Facts({ rows }) {
  if (rows.length === 0) return html`<p class="truth-wait">The page waits for the first answer of the product API.</p>`;
  const changed = Math.max(...rows.map((row) => row.updated_at_ms));
  const version = (/** @type {number} */ it) => `v${it}`;
  return html`<dl class="truth-facts">
    <div><dt>Price in the database</dt><dd class="truth-price" id="truth-price">${range(rows.map((row) => row.price_cents), price)}</dd></div>
    <div><dt>Latest commit</dt><dd id="truth-commit">${seconds(now() - changed)} ago<small>${clock(changed)} UTC</small></dd></div>
    <div><dt>Product versions</dt><dd id="truth-versions">${range(rows.map((row) => row.version), version)}</dd></div>
    <div><dt>Category</dt><dd id="truth-category">${rows[0].category.name}</dd></div>
  </dl>`;
}

/** The bar above the board. */
export function TruthBar() {
  const hasSql = state.config.sql_enabled;
  return html`<div class="panel truth" aria-label="The database, and changes to it" role="group">
    <${Facts} rows=${state.truth} />
    <div class="truth-actions">
      <${Action} id="change-price" kind="primary" title="Changes all seven prices, each through its own strategy"
        act=${() => post("/actions/change-price", { times: 1 })}>Change price<//>
      <${Action} id="change-ten" title="Changes all seven prices ten times in a row"
        act=${() => post("/actions/change-price", { times: 10 })}>Change ten times<//>
      <${Action} id="sql-write" disabled=${!hasSql} title="Changes the rows in SQL: no strategy is told"
        act=${() => post("/actions/sql-write", {})}>Write behind the API's back<//>
      <${Action} id="rename-category" title="Changes a row that all seven products show"
        act=${() => post("/actions/rename-category", {})}>Rename the category<//>
      <${Action} id="reset" kind="quiet" title="Restores the original prices and the name of the category"
        act=${() => post("/actions/reset", {})}>Reset<//>
      ${!hasSql && html`<p class="truth-reason">“Write behind the API's back” needs a connection to Postgres, and the console has none.</p>`}
    </div>
  </div>`;
}
