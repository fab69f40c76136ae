// The timeline.
import { html } from "./vendor/htm-preact.js";

export function Timeline() {
  return html`<p>To be written.</p>`;
}
