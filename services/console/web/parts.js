// Small parts that several views use.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { onChange } from "./live.js";
import { DISABLED, playback } from "./playback.js";

/** The mark and the word of each state: never the colour alone. */
export const STATES = /** @type {Record<string, {mark: string, word: string}>} */ ({
  fresh: { mark: "●", word: "fresh" },
  stale: { mark: "▲", word: "stale" },
  absent: { mark: "○", word: "absent" },
  loading: { mark: "◐", word: "loading" },
  refreshing: { mark: "◑", word: "refreshing" },
  unknown: { mark: "?", word: "unknown" },
});

/** Draws the component again whenever the state changes. */
export function useLive() {
  const [, tick] = useState(0);
  useEffect(() => onChange(() => tick((/** @type {number} */ n) => n + 1)), []);
}

/** Draws the component again with each frame while `isOn`, for figures that count. @param {boolean} isOn */
export function useFrames(isOn) {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!isOn) return undefined;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const timer = setInterval(() => tick((/** @type {number} */ n) => n + 1), calm ? 500 : 50);
    return () => clearInterval(timer);
  }, [isOn]);
}

/** @param {{state: string}} props */
export function StateMark({ state }) {
  const { mark, word } = STATES[state] ?? STATES.unknown;
  return html`<span class="state state-${state}"><span aria-hidden="true">${mark}</span> ${word}</span>`;
}

/**
 * A button for an asynchronous action: it is busy until the action ends, and shows why it failed. A recording disables it,
 * except if the action is local to the page.
 * @param {{act: () => Promise<unknown>, children?: any, kind?: string, title?: string, disabled?: boolean, isLocal?: boolean, id?: string}} props
 */
export function Action({ act, children, kind = "", title, disabled = false, isLocal = false, id }) {
  const isOffline = playback !== null && !isLocal;
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const run = async () => {
    setBusy(true);
    setError("");
    try {
      await act();
    } catch (caught) {
      setError(caught instanceof Error ? caught.message : String(caught));
    }
    setBusy(false);
  };
  return html`<span class="action">
    <button type="button" id=${id} class="button ${kind}" title=${isOffline ? DISABLED : title} disabled=${disabled || isOffline} aria-busy=${busy}
      onClick=${() => busy || run()}>${children}</button>
    ${error && html`<span class="error" role="alert">${error}</span>`}
  </span>`;
}

/** A section with a heading and a sentence. @param {{title: string, lead?: any, children?: any, id?: string}} props */
export function Section({ title, lead, children, id }) {
  return html`<section class="section" aria-labelledby="${id ?? title}-title">
    <h2 id="${id ?? title}-title">${title}</h2>
    ${lead && html`<p class="lead">${lead}</p>`}
    ${children}
  </section>`;
}
