// Load on the product API, and the two experiments beside naive cache-aside.
import { html, useState } from "./vendor/htm-preact.js";
import { post, put } from "./api.js";
import { count, ms } from "./format.js";
import { state } from "./live.js";
import { Action, Section, useLive } from "./parts.js";

const SOURCES = /** @type {const} */ ([
  ["near_hits", "memory", "near"], ["redis_hits", "Redis", "redis"], ["stale_hits", "stale", "stale"],
  ["misses", "database", "database"], ["bypasses", "bypass", "bypass"],
]);

/** @param {{id: string, label: string, value: number, max: number, step: number, text: string, set: (value: number) => void}} props */
function Slider({ id, label, value, max, step, text, set }) {
  return html`<div class="slider">
    <label for=${id}>${label}</label>
    <input type="range" id=${id} min="0" max=${max} step=${step} value=${value}
      onInput=${(/** @type {any} */ event) => set(Number(event.target.value))} />
    <output for=${id}>${text}</output>
  </div>`;
}

/** From where the reads of the last second were answered. */
function Sources() {
  const latest = state.figures.at(-1);
  if (!latest) return html`<p class="lead">No read has been counted yet.</p>`;
  return html`<div class="scroll"><table class="sources">
    <caption class="hidden">Reads of the last second, by strategy and source</caption>
    <thead><tr><th>Strategy</th><th class="number">Reads/s</th><th>Answered from</th><th class="number">p50</th><th class="number">p99</th></tr></thead>
    <tbody>${latest.strategies.map((it) => html`<tr key=${it.strategy} data-strategy=${it.strategy}>
      <th scope="row">${it.strategy}</th>
      <td class="number">${count(it.reads)}</td>
      <td>${SOURCES.map(([field, word, kind]) => it[field] > 0 && html`<span key=${field} class="badge ${kind}">${word} ${count(it[field])}</span> `)}</td>
      <td class="number">${ms(it.p50_ms)}</td><td class="number">${ms(it.p99_ms)}</td>
    </tr>`)}</tbody>
  </table></div>`;
}

function Requests() {
  const [rate, setRate] = useState(200);
  const [mix, setMix] = useState(0.05);
  const [skew, setSkew] = useState(0.9);
  const running = state.load?.running;
  return html`<${Section} id="requests" title="Load"
    lead="The console sends requests to all seven strategies, at the rate that you choose, whether the service keeps up or not. The load ends by itself after five minutes.">
    <div class="panel load-panel">
      <${Slider} id="rate" label="Requests per second" value=${rate} max=${2000} step=${10} text=${count(rate)} set=${setRate} />
      <${Slider} id="mix" label="Share of writes" value=${mix} max=${0.5} step=${0.01} text=${`${Math.round(mix * 100)} %`} set=${setMix} />
      <${Slider} id="skew" label="Skew (Zipf): how uneven the products are chosen" value=${skew} max=${1.5} step=${0.1} text=${skew.toFixed(1)} set=${setSkew} />
      <div class="row">
        <${Action} kind="primary" id="start-load" act=${() => put("/load", { rate, mix, skew })}>${running ? "Change the load" : "Start the load"}<//>
        <${Action} id="stop-load" disabled=${!running} act=${() => put("/load", { rate: 0, mix, skew })}>Stop<//>
        <p id="load-state" role="status" data-running=${String(Boolean(running))}>
          ${running ? `${count(state.load?.achieved ?? 0)} of ${count(state.load?.rate ?? 0)} requests per second are answered, ${count(state.load?.failures ?? 0)} have failed.` : "No load is running."}
        </p>
      </div>
    </div>
    <${Sources} />
  <//>`;
}

/** @param {{task: import("./store.js").Task|undefined}} props */
function Progress({ task }) {
  if (task?.state === "running") return html`<progress max="1" value=${task.progress} aria-label="Progress"></progress>`;
  if (task?.state === "failed") return html`<p class="error" role="alert">It failed: ${task.error}</p>`;
  return null;
}

/** @param {{value: number, most: number, isBad: boolean}} props  a bar of a table, beside its figure */
function Bar({ value, most, isBad }) {
  const width = `${most > 0 ? Math.max(value > 0 ? 1 : 0, (100 * value) / most) : 0}%`;
  return html`<span class="bar ${isBad ? "is-bad" : ""}" aria-hidden="true"><span style=${{ width }}></span></span>`;
}

function Stampede() {
  const task = state.tasks.get("stampede");
  /** @type {{name: string, readers: number, failed: number, loads: number, p99_ms: number}[]} */
  const rows = task?.result?.rows ?? [];
  return html`<${Section} id="stampede" title="Stampede"
    lead="500 readers ask for one missing entry at the same time. Single-flight lets one reader load it while the others wait for the result; with naive cache-aside, every reader that finds nothing loads the row itself.">
    <div class="row">
      <${Action} kind="primary" id="run-stampede" disabled=${task?.state === "running"} act=${() => post("/actions/stampede", { readers: 500 })}>Run the stampede<//>
      <${Progress} task=${task} />
    </div>
    ${rows.length > 0 && html`<div class="scroll"><table id="stampede-result">
      <thead><tr><th>Cache</th><th class="number">Readers</th><th class="number">Loads</th><th><span class="hidden">Share</span></th><th class="number">Slowest 1 %</th></tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${row.name} data-name=${row.name} data-loads=${row.loads}>
        <th scope="row">${row.name}</th><td class="number">${count(row.readers)}</td><td class="number"><strong>${count(row.loads)}</strong></td>
        <td><${Bar} value=${row.loads} most=${row.readers} isBad=${row.loads > row.readers / 10} /></td><td class="number">${ms(row.p99_ms)}</td>
      </tr>`)}</tbody>
    </table></div>`}
  <//>`;
}

function Race() {
  const task = state.tasks.get("race");
  /** @type {{name: string, stale: number}[]} */
  const rows = task?.result?.rows ?? [];
  const trials = task?.result?.trials ?? 0;
  return html`<${Section} id="race" title="Race"
    lead="Readers and a writer use one missing entry at the same time, then all traffic ends. A reader that has loaded the old value may store it after the writer has deleted the entry: then it stays stale until its TTL ends. A lease refuses such a fill.">
    <div class="row">
      <${Action} kind="primary" id="run-race" disabled=${task?.state === "running"} act=${() => post("/actions/race", { trials: 50 })}>Run 50 trials<//>
      <${Progress} task=${task} />
    </div>
    ${rows.length > 0 && html`<div class="scroll"><table id="race-result">
      <thead><tr><th>Cache</th><th>Entries still stale after the race</th><th><span class="hidden">Share</span></th></tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${row.name} data-name=${row.name} data-stale=${row.stale}>
        <th scope="row">${row.name}</th><td><strong>${count(row.stale)}</strong> of ${count(trials)}</td>
        <td><${Bar} value=${row.stale} most=${trials} isBad=${row.stale > 0} /></td>
      </tr>`)}</tbody>
    </table></div>`}
    ${rows.length > 0 && rows.every((row) => row.stale === 0) && html`<p class="lead">Naive cache-aside was lucky this time. The race is rare; more trials make it likely.</p>`}
  <//>`;
}

/** The view of load and experiments. */
export function Load() {
  useLive();
  return html`<${Requests} /><${Stampede} /><${Race} />`;
}
