// The faults.
import { html } from "./vendor/htm-preact.js";

export function Faults() {
  return html`<p>To be written.</p>`;
}
