// The history of a violation.
import { html } from "./vendor/htm-preact.js";

export function History() {
  return html`<p>To be written.</p>`;
}
