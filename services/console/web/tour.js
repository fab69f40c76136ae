// The tour.
import { html } from "./vendor/htm-preact.js";

export function Tour() {
  return html`<p>To be written.</p>`;
}
