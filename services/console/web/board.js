// The board.
import { html } from "./vendor/htm-preact.js";

export function Board() {
  return html`<p>To be written.</p>`;
}
