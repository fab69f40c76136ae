// Load on the product API, and two experiments that compare its strategies with naive cache-aside.
import { html, useState } from "./vendor/htm-preact.js";
import { post, put } from "./api.js";
import { count, ms } from "./format.js";
import { state } from "./live.js";
import { Action, Section, useLive } from "./parts.js";

/** The row of the experiments to which the strategies are compared. */
const NAIVE = "naive cache-aside";

const SOURCES = /** @type {const} */ ([
  ["near_hits", "near cache", "near"], ["redis_hits", "Redis", "redis"], ["stale_hits", "stale", "stale"],
  ["misses", "database", "database"], ["bypasses", "bypass", "bypass"], ["errors", "failed", "error"],
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

/** The shares of the sources as one bar; the badges beside it say the same in words. @param {{figures: import("./store.js").Figures}} props */
function Shares({ figures }) {
  const parts = SOURCES.filter(([field]) => figures[field] > 0);
  return html`<div class="sources-of">
    <span class="shares" aria-hidden="true">${parts.map(([field, , kind]) => html`<span key=${field} class=${kind} style=${{ flexGrow: String(figures[field]) }}></span>`)}</span>
    <span class="words">${parts.map(([field, word, kind]) => html`<span key=${field} class="badge ${kind}" data-source=${kind}>${word} ${count(figures[field])}</span>`)}</span>
  </div>`;
}

/** From where the reads of the last second were answered. */
function Sources() {
  const latest = state.figures.at(-1);
  if (!latest) return html`<p class="lead">No read has been counted yet.</p>`;
  return html`<div class="scroll panel" tabindex="0" role="region" aria-label="Reads by source"><table class="sources">
    <caption class="hidden">Reads of the last second, by strategy and source</caption>
    <thead><tr><th>Strategy</th><th class="number">Reads/s</th><th>Answered from</th><th class="number">p50</th><th class="number">p99</th></tr></thead>
    <tbody>${latest.strategies.map((it) => html`<tr key=${it.strategy} data-strategy=${it.strategy}>
      <th scope="row">${it.strategy}</th>
      <td class="number">${count(it.reads)}</td>
      <td><${Shares} figures=${it} /></td>
      <td class="number">${ms(it.p50_ms)}</td><td class="number">${ms(it.p99_ms)}</td>
    </tr>`)}</tbody>
  </table></div>`;
}

function Requests() {
  // Another page may have started the load that runs: then its values are where the sliders begin.
  const begin = state.load?.running ? state.load : { rate: 200, mix: 0.05, skew: 0.9 };
  const [rate, setRate] = useState(begin.rate);
  const [mix, setMix] = useState(begin.mix);
  const [skew, setSkew] = useState(begin.skew);
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
        <span id="load-state" role="status" data-running=${String(Boolean(running))}>${running ? "The load is running." : "No load is running."}</span>
        ${running && html`<span id="load-figures">${count(state.load?.achieved ?? 0)} of ${count(state.load?.rate ?? 0)} requests per second are answered, ${count(state.load?.failures ?? 0)} have failed.</span>`}
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

/** The outcomes side by side, in large figures. @param {{outcomes: {name: string, figure: string, text: string, isBad: boolean}[]}} props */
function Contrast({ outcomes }) {
  return html`<dl class="contrast">${outcomes.map(({ name, figure, text, isBad }) => html`<div key=${name} class="panel ${isBad ? "is-bad" : ""}" data-outcome=${name}>
    <dt>${name}</dt>
    <dd><strong>${figure}</strong> ${text}</dd>
  </div>`)}</dl>`;
}

/** Why naive cache-aside is missing from a result. @param {{rows: {name: string}[]}} props */
function NoNaive({ rows }) {
  if (rows.length === 0 || rows.some((row) => row.name === NAIVE)) return null;
  return html`<p class="lead">Naive cache-aside was not compared, because the console is not configured to use Redis.</p>`;
}

/** Whether the cache protected the database too little. @param {number} loads @param {number} readers */
const isMany = (loads, readers) => loads > readers / 10;

function Stampede() {
  const task = state.tasks.get("stampede");
  /** @type {{name: string, readers: number, failed: number, loads: number, p99_ms: number}[]} */
  const rows = task?.result?.rows ?? [];
  return html`<${Section} id="stampede" title="Stampede"
    lead="500 readers ask for one missing entry at the same time. Single-flight lets one reader load the row while the others wait for the result; with naive cache-aside, every reader that finds no entry loads the row itself.">
    <div class="row">
      <${Action} kind="primary" id="run-stampede" disabled=${task?.state === "running"} act=${() => post("/actions/stampede", { readers: 500 })}>Run the stampede<//>
      <${Progress} task=${task} />
    </div>
    <${Contrast} outcomes=${rows.map(({ name, readers, loads }) => ({ name, figure: count(loads), text: `${loads === 1 ? "load" : "loads"} for ${count(readers)} readers`, isBad: isMany(loads, readers) }))} />
    <${NoNaive} rows=${rows} />
    ${rows.length > 0 && html`<div class="scroll panel" tabindex="0" role="region" aria-label="Result of the stampede"><table id="stampede-result">
      <thead><tr><th>Cache</th><th class="number">Readers</th><th class="number">Loads</th><th><span class="hidden">Share</span></th><th class="number">Slowest 1 %</th></tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${row.name} data-name=${row.name} data-loads=${row.loads}>
        <th scope="row">${row.name}</th><td class="number">${count(row.readers)}${row.failed > 0 ? ` (${count(row.failed)} failed)` : ""}</td><td class="number"><strong>${count(row.loads)}</strong></td>
        <td><${Bar} value=${row.loads} most=${row.readers} isBad=${isMany(row.loads, row.readers)} /></td><td class="number">${ms(row.p99_ms)}</td>
      </tr>`)}</tbody>
    </table></div>`}
  <//>`;
}

/** The strategies together, and naive cache-aside. @param {{name: string, stale: number}[]} rows @param {number} trials */
function raced(rows, trials) {
  const ours = rows.filter((row) => row.name !== NAIVE);
  const groups = [ours, rows.filter((row) => row.name === NAIVE)].filter((group) => group.length > 0);
  return groups.map((group) => {
    const stale = group.reduce((sum, row) => sum + row.stale, 0);
    return { name: group.map((row) => row.name).join(", "), figure: count(stale), text: `of ${count(trials * group.length)} entries stayed stale`, isBad: stale > 0 };
  });
}

function Race() {
  const task = state.tasks.get("race");
  /** @type {{name: string, stale: number}[]} */
  const rows = task?.result?.rows ?? [];
  const trials = task?.result?.trials ?? 0;
  return html`<${Section} id="race" title="Race"
    lead="Readers and a writer use one missing entry at the same time; when all traffic has ended, the console checks whether the entry still holds an old value. With naive cache-aside, a reader can store the old value after the writer has deleted the entry, which then stays stale until its TTL ends; the other strategies refuse that fill.">
    <div class="row">
      <${Action} kind="primary" id="run-race" disabled=${task?.state === "running"} act=${() => post("/actions/race", { trials: 50 })}>Run 50 trials<//>
      <${Progress} task=${task} />
    </div>
    <${Contrast} outcomes=${raced(rows, trials)} />
    <${NoNaive} rows=${rows} />
    ${rows.length > 0 && html`<div class="scroll panel" tabindex="0" role="region" aria-label="Result of the race"><table id="race-result">
      <thead><tr><th>Cache</th><th>Entries still stale after the race</th><th><span class="hidden">Share</span></th></tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${row.name} data-name=${row.name} data-stale=${row.stale}>
        <th scope="row">${row.name}</th><td><strong>${count(row.stale)}</strong> of ${count(trials)}</td>
        <td><${Bar} value=${row.stale} most=${trials} isBad=${row.stale > 0} /></td>
      </tr>`)}</tbody>
    </table></div>`}
    ${rows.length > 0 && rows.every((row) => row.stale === 0) && html`<p class="lead">The race did not happen in these trials. It is rare: run the trials again.</p>`}
  <//>`;
}

/** The view of load and experiments. */
export function Load() {
  useLive();
  return html`<${Requests} /><${Stampede} /><${Race} />`;
}
