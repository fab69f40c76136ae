// Recording what the page shows.
import { html } from "./vendor/htm-preact.js";

/** @type {{recordedAt: number, config: any}|null} */
export const playback = null;

export function RecordButton() {
  return html`<span></span>`;
}
