// The keyspace.
import { html } from "./vendor/htm-preact.js";

export function Keyspace() {
  return html`<p>To be written.</p>`;
}
