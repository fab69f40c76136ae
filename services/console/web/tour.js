// The guided tour of a strategy: seven steps over the board, each with an address of its own.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { get, send } from "./api.js";
import { state } from "./live.js";
import { Action } from "./parts.js";

/** @typedef {{title: string, text: string, action?: {label: string, method: string, path: string, body: unknown}}} Step */

/** @type {Promise<Record<string, Step[]>>|null} */
let tours = null;

/** @param {{strategy: string, step: number}} props */
export function Tour({ strategy, step }) {
  const [steps, setSteps] = useState(/** @type {Step[]} */ ([]));
  const panel = useRef(/** @type {HTMLElement|null} */ (null));
  useEffect(() => {
    tours ??= get("/assets/tour.json").then(({ json }) => json);
    tours.then((all) => setSteps(all[strategy] ?? []));
  }, [strategy]);
  const go = (/** @type {number} */ to) => {
    if (to >= 1 && to <= steps.length) location.hash = `tour=${strategy}&step=${to}`;
  };
  useEffect(() => {
    const pressed = (/** @type {KeyboardEvent} */ event) => {
      const isField = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
      if (isField) return;
      if (event.key === "ArrowRight") go(step + 1);
      if (event.key === "ArrowLeft") go(step - 1);
      if (event.key === "Escape") location.hash = "board";
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [strategy, step, steps.length]);
  // The strategy's row of the board is marked while its tour lasts.
  useEffect(() => {
    document.documentElement.dataset.tour = strategy;
    panel.current?.focus();
    return () => {
      delete document.documentElement.dataset.tour;
    };
  }, [strategy]);
  const current = steps[step - 1];
  if (!current) return null;
  const names = (state.config?.strategies ?? []).map((/** @type {any} */ it) => it.name);
  const next = names[names.indexOf(strategy) + 1];
  return html`<aside class="tour panel" ref=${panel} tabindex="-1" aria-label="Tour of ${strategy}" data-step=${step}>
    <header class="row"><strong>Tour of ${strategy}, step ${step} of ${steps.length}: ${current.title}</strong>
      <a class="button quiet" href="#board" id="close-tour">Close</a></header>
    <p aria-live="polite">${current.text}</p>
    <div class="row">
      <button type="button" class="button" id="tour-back" disabled=${step === 1} onClick=${() => go(step - 1)}>Back</button>
      ${current.action && html`<${Action} kind="primary" id="tour-action" act=${() => send(current.action?.method ?? "POST", current.action?.path ?? "", current.action?.body)}>${current.action.label}<//>`}
      <button type="button" class="button" id="tour-next" disabled=${step === steps.length} onClick=${() => go(step + 1)}>Next</button>
      ${step === steps.length && next && html`<a class="button" href="#tour=${next}&step=1">Tour of ${next}</a>`}
    </div>
  </aside>`;
}
