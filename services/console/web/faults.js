// The faults: each card says what is done and what a visitor should see, and is ticked once it was seen.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { del, get, post } from "./api.js";
import { now, state } from "./live.js";
import { ms, seconds } from "./format.js";
import { Action, Section, useFrames, useLive } from "./parts.js";
import { columns } from "./store.js";

/**
 * @typedef {{name: string, title: string, explanation: string, expect: string, seconds: number, available: boolean,
 *   unavailable_because: string|null}} Described
 */

/** The stale copies of one column now, and for how long its copies were stale after the last change. @param {string} column */
function staleIn(column) {
  const cells = [...state.cells.values()].filter((cell) => cell.column === column);
  return {
    of: cells.length,
    stale: cells.filter((cell) => cell.state === "stale").length,
    longest: Math.max(0, ...cells.map((cell) => cell.stale_for_ms ?? 0)),
  };
}

/** How many copies are stale now, in each column. */
function StaleNow() {
  return html`<dl class="stale-now" aria-label="Stale copies now">
    ${columns(state).map(({ id, title }) => {
      const { stale, of, longest } = staleIn(id);
      return html`<div key=${id} class=${stale ? "has-stale" : ""}>
        <dt>${title}</dt>
        <dd data-column=${id} data-stale=${stale}>${stale ? html`<span aria-hidden="true">▲</span> ${stale} of ${of} stale` : "none stale"}
          <span class="longest">${!stale && longest > 0 ? `was stale for ${ms(longest)}` : ""}</span></dd>
      </div>`;
    })}
  </dl>`;
}

/** @param {{fault: Described}} props */
function Card({ fault }) {
  const live = state.faults.find((it) => it.name === fault.name);
  const isActive = Boolean(live?.active);
  useFrames(isActive);
  const left = Math.max(0, (live?.ends_at_ms ?? 0) - now());
  const seen = live?.seen;
  return html`<article class="panel fault ${isActive ? "is-active" : ""}" data-fault=${fault.name} data-active=${String(isActive)}
    aria-labelledby="fault-${fault.name}">
    <header class="row">
      <h3 id="fault-${fault.name}">${fault.title}</h3>
      ${isActive && html`<span class="badge stale" role="timer">ends in ${seconds(left)}</span>`}
    </header>
    <p>${fault.explanation}</p>
    <p class="expect"><strong>What you should see:</strong> ${fault.expect}</p>
    <p class="seen" data-seen=${String(seen ?? "")}>
      ${seen === true ? html`<span aria-hidden="true">✓</span> Seen on this stack.` : seen === false ? "Not seen yet." : "Not caused yet."}
    </p>
    ${live?.error && html`<p class="error" role="alert">It could not be caused or undone: ${live.error}</p>`}
    ${!fault.available && html`<p class="unavailable"><strong>Not available:</strong> ${fault.unavailable_because}</p>`}
    <div class="row">
      <${Action} kind="danger" id="cause-${fault.name}" disabled=${!fault.available || isActive}
        act=${() => post(`/faults/${fault.name}`, { seconds: fault.seconds })}>Cause it for ${fault.seconds} s<//>
      ${isActive && html`<${Action} id="end-${fault.name}" act=${() => del(`/faults/${fault.name}`)}>End it now<//>`}
    </div>
  </article>`;
}

/** The view of the faults. */
export function Faults() {
  useLive();
  const [faults, setFaults] = useState(/** @type {Described[]} */ ([]));
  const [error, setError] = useState("");
  useEffect(() => {
    get("/faults").then(({ json }) => setFaults(json), (caught) => setError(caught.message));
  }, []);
  return html`<${Section} id="faults" title="Faults"
    lead="Each fault happens on the running stack, ends by itself, and is undone when the console stops. Most effects show after a change.">
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${state.config && !state.config.faults_enabled && html`<p class="banner">Faults are off. <code>FAULTS_ENABLED=true make up</code> turns them on; everything then has to listen on loopback only.</p>`}
    <div class="panel fault-bar">
      <${Action} kind="primary" id="faults-change-price" act=${() => post("/actions/change-price", { times: 1 })}>Change price<//>
      <${StaleNow} />
    </div>
    <div class="fault-grid">${faults.map((fault) => html`<${Card} key=${fault.name} fault=${fault} />`)}</div>
  <//>`;
}
