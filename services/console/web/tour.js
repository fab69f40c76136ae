// The guided tour of a strategy: seven steps over the live page, each with an address of its own.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/htm-preact.js";
import { get, send } from "./api.js";
import { state } from "./live.js";
import { Action } from "./parts.js";
import { markRow, unmark } from "./tour_mark.js";

/**
 * @typedef {{label: string, method: string, path: string, body: unknown}} StepAction
 * @typedef {{title: string, text: string, look: string, columns?: string[], view?: string, action?: StepAction}} Step
 *   look: what to look at; columns: the cells of the strategy's row that are marked; view: another view than the board
 */

/** @type {Promise<Record<string, Step[]>>|null} */
let tours = null;

/** @param {string} strategy @returns {{steps: Step[]|null, error: string}} */
function useSteps(strategy) {
  const [all, setAll] = useState(/** @type {Record<string, Step[]>|null} */ (null));
  const [error, setError] = useState("");
  useEffect(() => {
    tours ??= get("/assets/tour.json").then(({ json }) => json);
    tours.then(setAll, (caught) => {
      // The next tour asks again.
      tours = null;
      setError(caught.message);
    });
  }, []);
  return { steps: all && (all[strategy] ?? []), error };
}

/** The address of a step: it names the view, because the view is beneath the tour. @param {string} strategy @param {number} step @param {Step} [target] */
function addressOf(strategy, step, target) {
  return `#tour=${strategy}&step=${step}${target?.view ? `&view=${target.view}` : ""}`;
}

/** Leads on with the arrow keys, except where a key has another meaning. @param {(by: number) => void} go */
function useKeys(go) {
  // With the step that is shown: a key that is pressed right after it must not count from the step before.
  useLayoutEffect(() => {
    const pressed = (/** @type {KeyboardEvent} */ event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      const isTaken = target.closest?.("input, select, textarea, [contenteditable], .scroll, pre");
      if (isTaken || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      if (event.key === "ArrowRight") go(1);
      if (event.key === "ArrowLeft") go(-1);
      if (event.key === "Escape") location.hash = "board";
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [go]);
}

/** @param {{steps: Step[], strategy: string, step: number}} props */
function Head({ steps, strategy, step }) {
  const strategies = state.config?.strategies ?? [];
  return html`<header class="tour-head">
    <label>Tour of <select id="tour-strategy" value=${strategy} onChange=${(/** @type {any} */ event) => { location.hash = addressOf(event.target.value, 1); }}>
      ${strategies.map((/** @type {any} */ it) => html`<option key=${it.name} value=${it.name}>${it.number}. ${it.title}</option>`)}</select></label>
    <nav aria-label="Steps"><ol class="tour-dots">${steps.map((it, index) => html`<li key=${index}><a href=${addressOf(strategy, index + 1, it)} data-to=${index + 1}
      aria-label="Step ${index + 1}: ${it.title}" aria-current=${index + 1 === step ? "step" : undefined}>${index + 1}</a></li>`)}</ol></nav>
    <a class="button quiet" href="#board" id="close-tour">Close the tour</a>
  </header>`;
}

/** @param {{strategy: string, step: number, steps: Step[], go: (by: number) => void}} props */
function Buttons({ strategy, step, steps, go }) {
  const { action } = steps[step - 1];
  const all = state.config?.strategies ?? [];
  const next = all[all.findIndex((/** @type {any} */ it) => it.name === strategy) + 1];
  const isLast = step === steps.length;
  return html`<div class="tour-buttons">
    ${action && html`<${Action} key="${strategy}-${step}" kind="primary" id="tour-action" act=${() => send(action.method, action.path, action.body)}>${action.label}<//>`}
    <button type="button" class="button" id="tour-back" disabled=${step === 1} onClick=${() => go(-1)}>Previous</button>
    ${!isLast && html`<button type="button" class="button ${action ? "" : "primary"}" id="tour-next" onClick=${() => go(1)}>Next</button>`}
    ${isLast && next && html`<a class="button primary" id="tour-following" href=${addressOf(next.name, 1)}>Next tour: ${next.title}</a>`}
    ${isLast && !next && html`<a class="button primary" id="tour-following" href="#explain=${strategy}">See the code</a>`}
  </div>`;
}

/** @param {{strategy: string, step: number}} props */
export function Tour({ strategy, step }) {
  const { steps, error } = useSteps(strategy);
  const panel = useRef(/** @type {HTMLElement|null} */ (null));
  const current = steps?.[step - 1];
  const go = (/** @type {number} */ by) => {
    const target = steps?.[step - 1 + by];
    if (target) location.hash = addressOf(strategy, step + by, target);
  };
  useKeys(go);
  useEffect(() => {
    // An address without its view, as a person would write it: the step knows the view.
    const view = new URLSearchParams(location.hash.slice(1)).get("view") ?? undefined;
    if (current && current.view !== view) location.replace(addressOf(strategy, step, current));
    if (steps && !current) location.replace(addressOf(steps.length ? strategy : "ttl", 1));
  }, [strategy, step, steps]);
  useLayoutEffect(() => {
    if (current) markRow(strategy, current.columns ?? [], panel.current);
  }, [strategy, current]);
  useEffect(() => {
    panel.current?.focus({ preventScroll: true });
  }, [strategy, step, steps]);
  useEffect(() => unmark, []);
  if (error) return html`<aside class="tour panel"><p class="error" role="alert">The tour cannot be shown: ${error}</p></aside>`;
  if (!steps || !current) return null;
  return html`<aside class="tour panel" ref=${panel} tabindex="-1" aria-labelledby="tour-title" data-strategy=${strategy} data-step=${step}>
    <${Head} steps=${steps} strategy=${strategy} step=${step} />
    <div class="tour-text" aria-live="polite">
      <h2 id="tour-title"><span class="hidden">Step ${step} of ${steps.length}: </span>${current.title}</h2>
      <p>${current.text}</p>
      <p class="tour-look"><strong>Look at</strong> ${current.look}</p>
    </div>
    <${Buttons} strategy=${strategy} step=${step} steps=${steps} go=${go} />
  </aside>`;
}
