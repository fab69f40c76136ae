// The history of a violation: the operations of one key as bars over time, with the floor that each read had to reach.
import { html, useEffect, useMemo, useState } from "./vendor/htm-preact.js";
import { count } from "./format.js";
import { floors, parse } from "./history_log.js";
import { Section } from "./parts.js";

const SAMPLE = "/assets/sample";
const WIDTH = 1_180;
const LANE = 26;
/** Bars that are drawn at once; more could not be told apart. */
const MOST = 1_500;

/** @typedef {import("./history_log.js").Operation} Operation @typedef {import("./history_log.js").Log} Log */

/** @param {number} ns */
const inMs = (ns) => `${(ns / 1e6).toFixed(2)} ms`;

/** @returns {Promise<Log>} */
async function sample() {
  const [keys, reads, writes] = await Promise.all(["keys", "reads", "writes"].map(async (name) => {
    const answer = await fetch(`${SAMPLE}/${name}.csv`);
    if (!answer.ok) throw new Error("The recorded run is not part of this console.");
    return answer.text();
  }));
  return parse({ keys, reads, writes });
}

/** @param {FileList} files @returns {Promise<Log>} */
async function opened(files) {
  const text = async (/** @type {string} */ name) => {
    const file = [...files].find((it) => it.name === `${name}.csv`);
    if (!file) throw new Error(`Choose all three files of the log: ${name}.csv is missing.`);
    return file.text();
  };
  return parse({ keys: await text("keys"), reads: await text("reads"), writes: await text("writes") });
}

/** @param {{operation: Operation, x: (ns: number) => number, y: number}} props */
function Bar({ operation, x, y }) {
  const { kind, begin, end, version, floor, fault } = operation;
  const [left, right] = [x(begin), Math.max(x(end), x(begin) + 3)];
  const label = fault ? `stale read of version ${version}; version ${floor} was acknowledged` : `${kind} of version ${version ?? "unknown"}`;
  return html`<g class="bar-${kind} ${fault ? "is-violation" : ""}" data-fault=${fault}>
    <title>${label}, ${inMs(begin)} to ${inMs(end)}</title>
    <rect x=${left} y=${y + 3} width=${right - left} height=${LANE - 6} rx="3" />
    ${right - left > 26 && html`<text x=${left + 5} y=${y + 17}>${kind === "write" ? "W" : "R"} ${version ?? "?"}</text>`}
    ${fault && html`<text class="violation-mark" x=${(left + right) / 2} y=${y + 1} text-anchor="middle">▼ v${version}, not v${floor}</text>`}
  </g>`;
}

/** @param {{operations: Operation[], range: [number, number]}} props */
function Chart({ operations, range }) {
  const [from, to] = range;
  const x = (/** @type {number} */ ns) => 90 + ((ns - from) / (to - from)) * (WIDTH - 100);
  const visible = operations.filter((it) => it.end >= from && it.begin <= to);
  const shown = visible.slice(0, MOST);
  const sessions = [...new Set(shown.map((it) => it.session))].sort((one, other) => Number(one) - Number(other));
  const top = 40;
  const height = top + sessions.length * LANE + 24;
  const steps = floors(operations);
  const before = steps.filter((it) => it.at <= from).at(-1);
  const bands = [...(before ? [{ at: from, version: before.version }] : []), ...steps.filter((it) => it.at > from && it.at < to)];
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => from + share * (to - from));
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Operations over time">
    <svg class="history" viewBox="0 0 ${WIDTH} ${height}" width=${WIDTH} height=${height} role="img" aria-label="Operations of one key over time, one lane for each session">
      ${bands.map(({ at, version }, index) => html`<g key=${at}>
        <rect class="band ${index % 2 ? "is-odd" : ""}" x=${x(at)} y="18" width=${Math.max(0, x(bands[index + 1]?.at ?? to) - x(at))} height=${height - 36} />
        <text class="floor" x=${x(at) + 3} y="30">≥ v${version}</text></g>`)}
      ${sessions.map((session, lane) => html`<text key=${session} class="lane" x="4" y=${top + lane * LANE + 17}>session ${session}</text>`)}
      ${shown.map((operation) => html`<${Bar} operation=${operation} x=${x} y=${top + sessions.indexOf(operation.session) * LANE} />`)}
      ${ticks.map((at) => html`<text key=${at} class="tick" x=${x(at)} y=${height - 4} text-anchor="middle">${inMs(at)}</text>`)}
    </svg>
    ${visible.length > shown.length && html`<p class="soft">${count(shown.length)} of ${count(visible.length)} operations are drawn. Zoom in to see the others.</p>`}
  </div>`;
}

/** @param {Operation[]} operations @returns {[number, number]} */
function around(operations) {
  const all = /** @type {[number, number]} */ ([operations[0].begin, Math.max(...operations.map((it) => it.end))]);
  const violation = operations.find((it) => it.fault);
  return violation ? [Math.max(all[0], violation.begin - 25e6), Math.min(all[1], violation.end + 15e6)] : all;
}

/** @param {{operations: Operation[]}} props */
function KeyHistory({ operations }) {
  const [range, setRange] = useState(() => around(operations));
  useEffect(() => setRange(around(operations)), [operations]);
  const zoom = (/** @type {number} */ factor) => setRange(([from, to]) => {
    const middle = (from + to) / 2;
    return [middle - ((to - from) / 2) * factor, middle + ((to - from) / 2) * factor];
  });
  const move = (/** @type {number} */ share) => setRange(([from, to]) => [from + share * (to - from), to + share * (to - from)]);
  const violations = operations.filter((it) => it.fault);
  return html`
    <div class="row" role="group" aria-label="Visible time">
      <button type="button" class="button" id="zoom-in" onClick=${() => zoom(0.5)}>Zoom in</button>
      <button type="button" class="button" id="zoom-out" onClick=${() => zoom(2)}>Zoom out</button>
      <button type="button" class="button" id="earlier" onClick=${() => move(-0.4)}>Earlier</button>
      <button type="button" class="button" id="later" onClick=${() => move(0.4)}>Later</button>
      <button type="button" class="button" id="to-violation" onClick=${() => setRange(around(operations))}>To the violation</button>
    </div>
    <${Chart} operations=${operations} range=${range} />
    <p class="legend"><span class="swatch read"></span> read <span class="swatch write"></span> write <span class="swatch violation"></span> stale read (marked ▼)
      <span class="swatch floor"></span> the floor: the highest version acknowledged before that moment. A read that begins in a band must show at least its version.</p>
    <table id="violations"><caption class="hidden">Stale reads</caption>
      <thead><tr><th>Stale read began at</th><th class="number">It showed version</th><th class="number">Acknowledged before</th><th>Answered by</th></tr></thead>
      <tbody>${violations.slice(0, 50).map((it) => html`<tr key=${it.begin}><td>${inMs(it.begin)}</td><td class="number">${it.version}</td><td class="number">${it.floor}</td><td>${it.source}</td></tr>`)}</tbody>
    </table>
    ${violations.length === 0 && html`<p class="soft">No read of this key broke the promise.</p>`}`;
}

/** The view of a checker's log. */
export function History() {
  const [log, setLog] = useState(/** @type {Log|null} */ (null));
  const [title, setTitle] = useState("");
  const [key, setKey] = useState("");
  const [error, setError] = useState("");
  const load = async (/** @type {Promise<Log>} */ loading, /** @type {string} */ name) => {
    try {
      const loaded = await loading;
      setLog(loaded);
      setTitle(name);
      setKey(loaded.keys[0]?.key ?? "");
      setError("");
    } catch (caught) {
      setError(caught instanceof Error ? caught.message : String(caught));
    }
  };
  useEffect(() => {
    load(sample(), "Recording: an excerpt of a run of the checker against naive cache-aside, 2026-11-28");
  }, []);
  const operations = useMemo(() => log?.byKey.get(key) ?? [], [log, key]);
  return html`<${Section} id="history" title="History of a violation"
    lead=${html`The checker logs every operation. This view draws those of one key: each bar is a read or a write, from the moment it was sent until its answer. <code>make verify args='--log FOLDER'</code> makes a log.`}>
    <div class="panel">
      <div class="row filters">
        <label>Open a log (keys.csv, reads.csv, writes.csv) <input type="file" id="history-files" multiple accept=".csv" onChange=${(/** @type {any} */ event) => load(opened(event.target.files), "Your log")} /></label>
        ${log && html`<label>Key <select id="history-key" value=${key} onChange=${(/** @type {any} */ event) => setKey(event.target.value)}>
          ${log.keys.slice(0, 200).map((it) => html`<option key=${it.key} value=${it.key}>${it.subject}, product ${it.id}: ${it.violations} stale of ${count(it.operations)}</option>`)}</select></label>`}
      </div>
      <p><strong id="history-name">${title}</strong>${log?.cut ? " (only the beginning of the log was read)" : ""}</p>
      ${error && html`<p class="error" role="alert">${error}</p>`}
      ${operations.length > 0 && html`<${KeyHistory} operations=${operations} />`}
    </div>
  <//>`;
}
