// The shop.
import { html } from "./vendor/htm-preact.js";

export function Shop() {
  return html`<p>To be written.</p>`;
}
