// The load.
import { html } from "./vendor/htm-preact.js";

export function Load() {
  return html`<p>To be written.</p>`;
}
