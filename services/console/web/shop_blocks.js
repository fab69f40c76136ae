// The blocks of the shop: what a customer sees, and beside it how the answer was served.
import { html } from "./vendor/htm-preact.js";
import { ms, price, seconds } from "./format.js";
import { WATCH } from "./shop_reads.js";

/** @typedef {import("./shop_reads.js").Block} Block */

/** Whether the answer says that it may lack a change. Each service says it in its own place. @param {any} json */
const saysStale = (json) => Boolean(json?.stale || json?.index?.stale || json?.catalogue?.stale);

/** @param {{block: Block|null, isOld?: boolean}} props */
export function Badge({ block, isOld = false }) {
  if (!block) return null;
  return html`<span class="served">
    <span class="badge ${block.served.kind}" data-served=${block.served.kind}>${block.served.word}${block.error ? "" : ` · ${ms(block.ms)}`}</span>
    ${isOld && html`<span class="badge stale"><span aria-hidden="true">▲</span> old price</span>`}
    ${saysStale(block.json) && html`<span class="badge stale"><span aria-hidden="true">▲</span> marked as stale</span>`}
  </span>`;
}

/** @param {{title: string, block: Block|null, isOld?: boolean, id: string, children?: any}} props */
export function Panel({ title, block, isOld, id, children }) {
  return html`<section class="panel shop-block" id=${id} aria-labelledby="${id}-title">
    <header class="row"><h3 id="${id}-title">${title}</h3><${Badge} block=${block} isOld=${isOld} /></header>
    ${block?.error && html`<p class="error" role="alert">${block.error}</p>`}
    ${children}
  </section>`;
}

/** @param {{block: Block|null, choose: (id: number) => void, category: number|null, setCategory: (id: number|null) => void}} props */
export function Results({ block, choose, category, setCategory }) {
  const page = block?.json;
  if (!page) return null;
  return html`
    <div class="row facets" role="group" aria-label="Categories">
      ${page.facets.map((/** @type {any} */ it) => html`<button key=${it.category.id} type="button" class="chip" data-facet=${it.category.id}
        aria-pressed=${category === it.category.id} onClick=${() => setCategory(category === it.category.id ? null : it.category.id)}>${it.category.name} (${it.count})</button>`)}
    </div>
    <ul class="results">${page.hits.map((/** @type {any} */ hit) => html`<li key=${hit.id}>
      <button type="button" class="link" data-product=${hit.id} onClick=${() => choose(hit.id)}>${hit.name}</button>
      <span>${price(hit.price_cents)}</span>
    </li>`)}</ul>
    <p class="soft">${page.total === 1 ? "1 product matches." : `${page.total} products match.`}</p>`;
}

/** @param {{items: any[]|undefined, choose: (id: number) => void}} props */
export function Offers({ items, choose }) {
  if (!items?.length) return html`<p class="soft">None.</p>`;
  return html`<ul class="results">${items.slice(0, 4).map((item) => html`<li key=${item.product_id}>
    <button type="button" class="link" onClick=${() => choose(item.product_id)}>${item.name}</button><span>${price(item.price_cents)}</span></li>`)}</ul>`;
}

/** @param {{block: Block|null}} props */
export function Basket({ block }) {
  const cart = block?.json;
  if (!cart?.lines.length) return html`<p class="soft">The cart is empty.</p>`;
  return html`<ul class="results">${cart.lines.map((/** @type {any} */ line) => html`<li key=${line.product_id} data-line=${line.product_id}>
      <span>${line.name}</span><span>${price(line.price_cents)}</span></li>`)}
    <li class="total"><span>Total</span><span>${price(cart.totals.total_cents)}</span></li></ul>`;
}

/** @param {import("./shop_reads.js").Outcome} outcome */
function told({ old, isShown, newAfter, elapsed }) {
  if (newAfter !== null) {
    const before = old === 0 ? "in the first read" : old === 1 ? "1 read showed the old price" : `${old} reads showed the old price`;
    return `the new price after ${ms(newAfter)}, ${before}`;
  }
  if (!isShown) return "does not show this product";
  return elapsed >= WATCH ? `still the old price after ${seconds(elapsed)}; the page has stopped reading` : `the old price for ${seconds(elapsed)} so far`;
}

/** When each block showed the new price. @param {{watch: import("./shop_reads.js").Watch}} props */
export function Outcomes({ watch }) {
  return html`<div class="watch">
    <h4>Since the write was acknowledged</h4>
    <ul id="shop-watch">${Object.entries(watch.outcomes).map(([name, outcome]) => html`<li key=${name} data-block=${name} data-new=${String(outcome.newAfter !== null)}
      class=${outcome.newAfter === null && outcome.isShown ? "is-old" : ""}><strong>${name}</strong>: ${told(outcome)}</li>`)}</ul>
  </div>`;
}
