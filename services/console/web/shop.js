// A small shop on the real services. Each block says how it was served, where a customer would see the effect.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { Refused, get, post, put } from "./api.js";
import { price } from "./format.js";
import { state } from "./live.js";
import { Action, Section } from "./parts.js";
import { Badge, Basket, Offers, Outcomes, Panel, Results } from "./shop_blocks.js";
import { useBlock, useWatch } from "./shop_reads.js";

/** The cart of this browser tab, which is created when something is put into it. */
function useCart() {
  const [id, setId] = useState(() => sessionStorage.getItem("cart") ?? "");
  const keep = (/** @type {string} */ cart) => {
    if (cart) sessionStorage.setItem("cart", cart);
    else sessionStorage.removeItem("cart");
    setId(cart);
  };
  const add = async (/** @type {number} */ product) => {
    let cart = id;
    if (!cart) {
      cart = (await post("/api/cart/carts", {})).json.id;
    }
    await put(`/api/cart/carts/${cart}/items/${product}`, { quantity: 1 });
    keep(cart);
  };
  return { id, add, forget: () => keep("") };
}

/** @param {{ownWrites: boolean}} props */
function TokenNote({ ownWrites }) {
  return ownWrites
    ? html`<p class="lead" id="token-note">Each read carries the consistency token of your last write, and the service waits until it has applied that write. If that takes too long, the cart
      bypasses its cache, and search and recommendations mark the answer as stale. The strategies <code>ttl</code> and <code>swr</code> do not honour the token.</p>`
    : html`<p class="lead" id="token-note">Reads carry no token: a block shows the new price once its cached copy was invalidated.</p>`;
}

/** The chosen product, and what can be done with it. @param {{shown: any, add: () => Promise<void>, change: () => Promise<void>, strategy: string, watch: import("./shop_reads.js").Watch|null}} props */
function Product({ shown, add, change, strategy, watch }) {
  return html`<p class="shop-price">${price(shown.price_cents)}</p><p>${shown.description}</p>
    <div class="row">
      <${Action} kind="primary" id="change-this-price" act=${change}>Change this price<//>
      <${Action} id="add-to-cart" act=${add}>Put into the cart<//>
    </div>
    <p class="soft">The write adds 1.00, through the strategy <code>${strategy}</code>.</p>
    ${watch && html`<${Outcomes} watch=${watch} />`}`;
}

/** The view of the shop. */
export function Shop() {
  const [query, setQuery] = useState("lamp");
  const [category, setCategory] = useState(/** @type {number|null} */ (null));
  const [product, setProduct] = useState(/** @type {number|null} */ (null));
  const [strategy, setStrategy] = useState("production");
  const [token, setToken] = useState("");
  const [ownWrites, setOwnWrites] = useState(false);
  const cart = useCart();
  const sent = ownWrites ? token : "";

  const found = useBlock(`/api/search/search?q=${encodeURIComponent(query)}&limit=8${category ? `&category=${category}` : ""}`, sent);
  const page = useBlock(product ? `/api/product-api/products/${strategy}/${product}` : "", sent);
  const basket = useBlock(cart.id ? `/api/cart/carts/${cart.id}` : "", sent);
  const beside = useBlock(product ? `/api/recommendation/recommendations/${product}` : "", sent);
  const forCart = useBlock(cart.id ? `/api/recommendation/recommendations?cart=${cart.id}` : "", sent);
  // A stack that was reset does not know the cart of before.
  useEffect(() => {
    if (basket.block?.status === 404) cart.forget();
  }, [basket.block?.status]);

  const places = {
    "product page": { again: page.again, priceIn: (/** @type {any} */ json) => (json.id === product ? json.price_cents : undefined) },
    search: { again: found.again, priceIn: (/** @type {any} */ json) => json.hits.find((/** @type {any} */ hit) => hit.id === product)?.price_cents },
    cart: { again: basket.again, priceIn: (/** @type {any} */ json) => json.lines.find((/** @type {any} */ line) => line.product_id === product)?.price_cents ?? undefined },
  };
  const { watch, begin, end } = useWatch(places);
  const isOld = (/** @type {keyof typeof places} */ name, /** @type {any} */ json) => {
    const shown = json && watch ? places[name].priceIn(json) : undefined;
    return shown !== undefined && shown !== watch?.price;
  };
  const choose = (/** @type {number|null} */ id) => {
    end();
    setProduct(id);
  };
  const through = (/** @type {string} */ name) => {
    end();
    setStrategy(name);
  };
  const readAll = () => Promise.all([found, page, basket, beside, forCart].map((block) => block.again()));
  const add = async () => {
    try {
      await cart.add(/** @type {number} */ (product));
    } catch (error) {
      if (error instanceof Refused && error.status === 404) cart.forget();
      throw error;
    }
    await Promise.all([basket.again(), forCart.again()]);
  };
  const change = async () => {
    // Past every cache, because the page may show an old price.
    const current = (await get(`/api/product-api/products/${product}`)).json;
    const next = current.price_cents + 100;
    const { headers } = await put(`/api/product-api/products/${strategy}/${product}`, { price_cents: next });
    setToken(headers.get("x-consistency-token") ?? "");
    begin(/** @type {number} */ (product), next);
  };

  const shown = page.block?.json;
  return html`<${Section} id="shop" title="Shop"
    lead="Every block below is a request to a service. Its badge says where the answer came from and how long it took. Change a price, and see when each block shows it.">
    <div class="row filters">
      <label>Search <input type="search" id="shop-query" value=${query} onInput=${(/** @type {any} */ event) => { setQuery(event.target.value); setCategory(null); }} /></label>
      <label>Product page through <select id="shop-strategy" value=${strategy} onChange=${(/** @type {any} */ event) => through(event.target.value)}>
        ${(state.config?.strategies ?? []).map((/** @type {any} */ it) => html`<option key=${it.name} value=${it.name}>${it.name}</option>`)}</select></label>
      <label><input type="checkbox" id="own-writes" checked=${ownWrites} onChange=${(/** @type {any} */ event) => setOwnWrites(event.target.checked)} /> Read your own writes</label>
      <${Action} id="shop-again" act=${readAll}>Read everything again<//>
    </div>
    <${TokenNote} ownWrites=${ownWrites} />
    <div class="shop-grid">
      <${Panel} id="shop-search" title="Search" block=${found.block} isOld=${isOld("search", found.block?.json)}>
        <${Results} block=${found.block} choose=${choose} category=${category} setCategory=${setCategory} /><//>
      <${Panel} id="shop-product" title=${shown ? shown.name : "Product"} block=${page.block} isOld=${isOld("product page", shown)}>
        ${!product && html`<p class="soft">Choose a product from the search.</p>`}
        ${shown && html`<${Product} shown=${shown} add=${add} change=${change} strategy=${strategy} watch=${watch?.product === product ? watch : null} />`}<//>
      <${Panel} id="shop-cart" title="Cart" block=${basket.block} isOld=${isOld("cart", basket.block?.json)}>
        <${Basket} block=${basket.block} />
        ${cart.id && html`<h4>For your cart <${Badge} block=${forCart.block} /></h4><${Offers} items=${forCart.block?.json?.bought_together} choose=${choose} />`}<//>
      <${Panel} id="shop-beside" title="Recommendations" block=${beside.block}>
        ${product ? html`<h4>Bought together</h4><${Offers} items=${beside.block?.json?.bought_together} choose=${choose} />
          <h4>Similar</h4><${Offers} items=${beside.block?.json?.similar} choose=${choose} />` : html`<p class="soft">They appear with a product.</p>`}<//>
    </div>
  <//>`;
}
