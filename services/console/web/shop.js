// A small shop on the real services. Each block says how it was served, where a customer would see the effect.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { get, post, put } from "./api.js";
import { source } from "./cache_status.js";
import { ms, price } from "./format.js";
import { state } from "./live.js";
import { Action, Section, useLive } from "./parts.js";

/** How long, and how often, the blocks are read again after a change of the price, in ms. */
const WATCH = 15_000;
const EVERY = 250;

/** @typedef {{json: any, ms: number, served: ReturnType<typeof source>, error?: string}} Block */

/** Reads a block of the page. @param {string} path @param {string} token @returns {Promise<Block>} */
async function read(path, token) {
  try {
    const { json, headers, ms: took } = await get(path, token ? { "x-consistency-token": token } : {});
    return { json, ms: took, served: source(headers.get("cache-status")) };
  } catch (error) {
    return { json: null, ms: 0, served: { kind: "none", word: "no answer" }, error: error instanceof Error ? error.message : String(error) };
  }
}

/** @param {{block: Block|null, isStale?: boolean}} props */
function Badge({ block, isStale = false }) {
  if (!block) return null;
  return html`<span class="served">
    <span class="badge ${block.served.kind}" data-served=${block.served.kind}>${block.served.word} · ${ms(block.ms)}</span>
    ${isStale && html`<span class="badge stale"><span aria-hidden="true">▲</span> old price</span>`}
    ${block.json?.stale && html`<span class="badge stale">says that it may be stale</span>`}
  </span>`;
}

/** @param {{title: string, block: Block|null, isStale?: boolean, id: string, children?: any}} props */
function Panel({ title, block, isStale, id, children }) {
  return html`<section class="panel shop-block" id=${id} aria-labelledby="${id}-title">
    <header class="row"><h3 id="${id}-title">${title}</h3><${Badge} block=${block} isStale=${isStale} /></header>
    ${block?.error && html`<p class="error" role="alert">${block.error}</p>`}
    ${children}
  </section>`;
}

/** Reads a path again whenever it changes, or `turn` does. @param {string} path @param {string} token @param {number} turn */
function useBlock(path, token, turn) {
  const [block, setBlock] = useState(/** @type {Block|null} */ (null));
  useEffect(() => {
    let isCurrent = true;
    if (path) read(path, token).then((answer) => isCurrent && setBlock(answer));
    else setBlock(null);
    return () => {
      isCurrent = false;
    };
  }, [path, token, turn]);
  return block;
}

/** The cart of this browser tab, which is created when something is put into it. */
function useCart() {
  const [id, setId] = useState(() => sessionStorage.getItem("cart") ?? "");
  const add = async (/** @type {number} */ product) => {
    let cart = id;
    if (!cart) {
      cart = (await post("/api/cart/carts", {})).json.id;
      sessionStorage.setItem("cart", cart);
      setId(cart);
    }
    await put(`/api/cart/carts/${cart}/items/${product}`, { quantity: 1 });
  };
  return { id, add };
}

/** @param {{block: Block|null, choose: (id: number) => void, category: number|null, setCategory: (id: number|null) => void}} props */
function Results({ block, choose, category, setCategory }) {
  const page = block?.json;
  if (!page) return null;
  return html`
    <div class="row facets" role="group" aria-label="Categories">
      ${page.facets.map((/** @type {any} */ it) => html`<button key=${it.category.id} type="button" class="button quiet" data-facet=${it.category.id}
        aria-pressed=${category === it.category.id} onClick=${() => setCategory(category === it.category.id ? null : it.category.id)}>${it.category.name} (${it.count})</button>`)}
    </div>
    <ul class="results">${page.hits.map((/** @type {any} */ hit) => html`<li key=${hit.id}>
      <button type="button" class="link" data-product=${hit.id} onClick=${() => choose(hit.id)}>${hit.name}</button>
      <span class="number">${price(hit.price_cents)}</span>
    </li>`)}</ul>
    <p class="soft">${page.total} products match.</p>`;
}

/** @param {{title: string, items: any[], choose: (id: number) => void}} props */
function Offers({ title, items, choose }) {
  if (!items || items.length === 0) return null;
  return html`<h4>${title}</h4><ul class="results">${items.slice(0, 5).map((item) => html`<li key=${item.product_id}>
    <button type="button" class="link" onClick=${() => choose(item.product_id)}>${item.name}</button><span class="number">${price(item.price_cents)}</span></li>`)}</ul>`;
}

/**
 * After a change of the price, reads every block again, and notes when each first shows the new price.
 * @param {() => void} again
 */
function useWatch(again) {
  const [watch, setWatch] = useState(/** @type {{began: number, price: number, shown: Record<string, number>}|null} */ (null));
  useEffect(() => {
    if (!watch) return undefined;
    const timer = setInterval(() => (performance.now() - watch.began > WATCH ? clearInterval(timer) : again()), EVERY);
    return () => clearInterval(timer);
  }, [watch?.began]);
  const note = (/** @type {string} */ name, /** @type {number|undefined} */ shown) => {
    if (watch && shown === watch.price && !(name in watch.shown)) watch.shown[name] = performance.now() - watch.began;
  };
  return { watch, setWatch, note };
}

/** The view of the shop. */
export function Shop() {
  useLive();
  const [query, setQuery] = useState("lamp");
  const [category, setCategory] = useState(/** @type {number|null} */ (null));
  const [product, setProduct] = useState(/** @type {number|null} */ (null));
  const [strategy, setStrategy] = useState("production");
  const [token, setToken] = useState("");
  const [ownWrites, setOwnWrites] = useState(false);
  const [turn, setTurn] = useState(0);
  const again = useRef(() => {});
  again.current = () => setTurn((before) => before + 1);
  const { id: cart, add } = useCart();
  const { watch, setWatch, note } = useWatch(() => again.current());
  const sent = ownWrites ? token : "";
  const found = useBlock(`/api/search/search?q=${encodeURIComponent(query)}&limit=8${category ? `&category=${category}` : ""}`, sent, turn);
  const page = useBlock(product ? `/api/product-api/products/${strategy}/${product}` : "", sent, turn);
  const basket = useBlock(cart ? `/api/cart/carts/${cart}` : "", sent, turn);
  const beside = useBlock(product ? `/api/recommendation/recommendations/${product}` : "", sent, turn);
  const forCart = useBlock(cart ? `/api/recommendation/recommendations?cart=${cart}` : "", sent, turn);

  const inCart = basket?.json?.lines.find((/** @type {any} */ line) => line.product_id === product);
  const inSearch = found?.json?.hits.find((/** @type {any} */ hit) => hit.id === product);
  note("product page", page?.json?.price_cents);
  note("cart", inCart?.price_cents);
  note("search", inSearch?.price_cents);
  const isOld = (/** @type {any} */ shown) => Boolean(watch && shown && shown.price_cents !== watch.price);

  const change = async () => {
    const current = (await get(`/api/product-api/products/${product}`)).json;
    const next = current.price_cents + 100;
    const { headers } = await put(`/api/product-api/products/${strategy}/${product}`, { price_cents: next });
    setToken(headers.get("x-consistency-token") ?? "");
    setWatch({ began: performance.now(), price: next, shown: {} });
    again.current();
  };
  const shown = page?.json;
  return html`<${Section} id="shop" title="Shop"
    lead="Every block below is a request to a service. Its badge says where the answer came from and how long it took. Change a price, and see when each block shows it.">
    <div class="row filters">
      <label>Search <input type="search" id="shop-query" value=${query} onInput=${(/** @type {any} */ event) => { setQuery(event.target.value); setCategory(null); }} /></label>
      <label>Strategy of the product page <select id="shop-strategy" value=${strategy} onChange=${(/** @type {any} */ event) => setStrategy(event.target.value)}>
        ${(state.config?.strategies ?? []).map((/** @type {any} */ it) => html`<option key=${it.name} value=${it.name}>${it.name}</option>`)}</select></label>
      <label><input type="checkbox" id="own-writes" checked=${ownWrites} onChange=${(/** @type {any} */ event) => setOwnWrites(event.target.checked)} /> Read your own writes</label>
      <${Action} id="shop-again" act=${async () => again.current()}>Read everything again<//>
    </div>
    ${ownWrites && html`<p class="lead">Each read carries the consistency token of your last write. A block either shows that write, or says that it may be stale.</p>`}
    <div class="shop-grid">
      <${Panel} id="shop-search" title="Search" block=${found} isStale=${isOld(inSearch)}>
        <${Results} block=${found} choose=${setProduct} category=${category} setCategory=${setCategory} /><//>
      <${Panel} id="shop-product" title=${shown ? shown.name : "Product"} block=${page} isStale=${isOld(shown)}>
        ${!product && html`<p class="soft">Choose a product from the search.</p>`}
        ${shown && html`<p class="shop-price">${price(shown.price_cents)}</p><p>${shown.description}</p>
          <div class="row"><${Action} kind="primary" id="add-to-cart" act=${async () => { await add(shown.id); again.current(); }}>Put into the cart<//>
            <${Action} id="change-this-price" act=${change}>Change this price<//></div>
          ${watch && html`<ul class="watch" id="shop-watch">${["product page", "search", "cart"].map((name) => html`<li key=${name}>
            ${name}: ${name in watch.shown ? `the new price after ${ms(watch.shown[name])}` : (name === "cart" && !inCart) || (name === "search" && !inSearch) ? "does not show this product" : "still the old price"}</li>`)}</ul>`}`}<//>
      <${Panel} id="shop-cart" title="Cart" block=${basket} isStale=${isOld(inCart)}>
        ${basket?.json?.lines.length ? html`<ul class="results">${basket.json.lines.map((/** @type {any} */ line) => html`<li key=${line.product_id} data-line=${line.product_id}>${line.name}<span class="number">${price(line.price_cents)}</span></li>`)}</ul>
          <p><strong>Total ${price(basket.json.totals.total_cents)}</strong></p>` : html`<p class="soft">The cart is empty.</p>`}<//>
      <${Panel} id="shop-beside" title="Recommendations" block=${beside}>
        <${Offers} title="Bought together" items=${beside?.json?.bought_together} choose=${setProduct} />
        <${Offers} title="Similar" items=${beside?.json?.similar} choose=${setProduct} />
        ${!product && html`<p class="soft">They appear with a product.</p>`}
        ${forCart?.json && html`<h4>For your cart <${Badge} block=${forCart} /></h4>
          <${Offers} title="" items=${forCart.json.bought_together} choose=${setProduct} />`}<//>
    </div>
  <//>`;
}
