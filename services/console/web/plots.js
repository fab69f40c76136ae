// The plots.
import { html } from "./vendor/htm-preact.js";

export function Plots() {
  return html`<p>To be written.</p>`;
}
