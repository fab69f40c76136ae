// The explanations.
import { html } from "./vendor/htm-preact.js";

export function Explain() {
  return html`<p>To be written.</p>`;
}
