// The history of a violation: the operations of one key over time, with the floor that each read had to reach.
import { html, useEffect, useMemo, useRef, useState } from "./vendor/htm-preact.js";
import { count } from "./format.js";
import { Chart, inMs } from "./history_chart.js";
import { MOST_LINES, MOST_OPERATIONS, openLog, operationsOf, remark } from "./history_log.js";
import { Section } from "./parts.js";
import { textOf } from "./playback.js";

/** @typedef {import("./history_log.js").Operation} Operation @typedef {import("./history_log.js").Log} Log @typedef {import("./history_chart.js").Range} Range */

const NAMES = /** @type {const} */ (["keys", "reads", "writes"]);
/** The rows of a table; the chart has the rest. */
const MOST_ROWS = 200;
const MOST_KEYS = 200;
/** The time around a violation that is shown first, in ns. */
const AROUND = 25e6;
/** The chart cannot be zoomed to less, in ns. */
const SHORTEST = 10_000;

/** @param {(name: string) => Promise<Blob>} file @returns {Promise<Log>} */
async function open(file) {
  const [keys, reads, writes] = await Promise.all(NAMES.map(file));
  return openLog({ keys, reads, writes });
}

const sample = () => open(async (name) => new Blob([await textOf(`/assets/sample/${name}.csv`)]));

/** @param {FileList} files */
const chosen = (files) => open(async (name) => {
  const file = [...files].find((it) => it.name === `${name}.csv`);
  if (!file) throw new Error(`${name}.csv is missing. Choose keys.csv, reads.csv and writes.csv of one log together.`);
  return file;
});

/** @param {Operation[]} operations @returns {Range} */
function everything(operations) {
  const end = operations.reduce((latest, it) => Math.max(latest, it.end), 0);
  return [operations[0].begin, Math.max(end, operations[0].begin + SHORTEST)];
}

/** @param {Operation[]} operations @param {Operation} [violation] @returns {Range} */
function around(operations, violation = operations.find((it) => it.fault)) {
  const [first, last] = everything(operations);
  return violation ? [Math.max(first, violation.begin - AROUND), Math.min(last, violation.end + AROUND)] : [first, last];
}

/** Moves and zooms within the history of a key. @param {Operation[]} operations */
function useRange(operations) {
  const [range, setRange] = useState(() => around(operations));
  const limit = useMemo(() => everything(operations), [operations]);
  const keep = (/** @type {Range} */ [from, to]) => {
    const length = Math.min(limit[1] - limit[0], Math.max(SHORTEST, to - from));
    const start = Math.min(Math.max(limit[0], from), limit[1] - length);
    setRange([start, start + length]);
  };
  const length = range[1] - range[0];
  const middle = (range[0] + range[1]) / 2;
  const zoom = (/** @type {number} */ factor) => keep([middle - (length / 2) * factor, middle + (length / 2) * factor]);
  const move = (/** @type {number} */ share) => keep([range[0] + share * length, range[1] + share * length]);
  return { range, keep, zoom, move, all: () => setRange(limit) };
}

/** @param {{operations: Operation[], show: (it: Operation) => void}} props */
function Violations({ operations, show }) {
  const violations = operations.filter((it) => it.fault);
  if (violations.length === 0) return html`<p id="no-violation">No operation of this key is a violation.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Violations"><table id="violations">
    <caption>Violations of this key: ${count(violations.length)}${violations.length > MOST_ROWS ? `, the first ${MOST_ROWS} in this table` : ""}</caption>
    <thead><tr><th scope="col">Began at</th><th scope="col">Session</th><th scope="col">Operation</th><th scope="col">Source</th><th scope="col">What is wrong</th><th scope="col">In the chart</th></tr></thead>
    <tbody>${violations.slice(0, MOST_ROWS).map((it) => html`<tr key="${it.kind}-${it.session}-${it.begin}" data-fault=${it.fault}>
      <td class="mono">${inMs(it.begin)}</td><td>${it.session}</td><td>${it.kind}</td><td>${it.source}</td><td>${remark(it)}</td>
      <td><button type="button" class="button small" onClick=${() => show(it)} aria-label="Show the operation at ${inMs(it.begin)} in the chart">Show</button></td></tr>`)}</tbody>
  </table></div>`;
}

/** The chart's content as a table. @param {{visible: Operation[]}} props */
function Operations({ visible }) {
  return html`<details id="operations"><summary>The ${count(visible.length)} operations in this range as a table</summary>
    <div class="scroll" tabindex="0" role="region" aria-label="Operations in this range"><table>
      <thead><tr><th scope="col">Began at</th><th scope="col">Ended at</th><th scope="col">Session</th><th scope="col">Operation</th><th scope="col" class="number">Version</th>
        <th scope="col" class="number">Floor</th><th scope="col">Source</th><th scope="col">Remark</th></tr></thead>
      <tbody>${visible.slice(0, MOST_ROWS).map((it) => html`<tr key="${it.kind}-${it.session}-${it.begin}"><td class="mono">${inMs(it.begin)}</td><td class="mono">${inMs(it.end)}</td><td>${it.session}</td>
        <td>${it.kind}</td><td class="number">${it.version ?? "unknown"}</td><td class="number">${it.floor ?? ""}</td><td>${it.source}</td><td>${remark(it)}</td></tr>`)}</tbody>
    </table></div>
    ${visible.length > MOST_ROWS && html`<p class="soft">The table has the first ${MOST_ROWS}. Zoom in to see the others.</p>`}
  </details>`;
}

function Legend() {
  return html`<ul class="legend">
    <li><span class="swatch read"></span> read (R) and the version that it shows</li>
    <li><span class="swatch write"></span> write (W) and the version that it makes</li>
    <li><span class="swatch violation"></span> violation (▼)</li>
    <li><span class="swatch floor"></span> floor (≥): the highest version that was acknowledged. A read that begins in this band must show at least this version.</li>
  </ul>`;
}

/** @param {{operations: Operation[]}} props */
function KeyHistory({ operations }) {
  const { range, keep, zoom, move, all } = useRange(operations);
  const visible = operations.filter((it) => it.end >= range[0] && it.begin <= range[1]);
  const keys = /** @type {Record<string, () => void>} */ ({
    "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), ArrowLeft: () => move(-0.25), ArrowRight: () => move(0.25), Home: all,
  });
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    // The arrow keys lead through the tour elsewhere.
    event.stopPropagation();
    keys[event.key]();
  };
  const button = (/** @type {string} */ id, /** @type {string} */ text, /** @type {() => void} */ act) =>
    html`<button type="button" class="button small" id=${id} onClick=${act}>${text}</button>`;
  return html`
    <div class="row history-tools" role="group" aria-label="Visible time">
      ${button("zoom-in", "Zoom in", () => zoom(0.5))} ${button("zoom-out", "Zoom out", () => zoom(2))}
      ${button("earlier", "Earlier", () => move(-0.4))} ${button("later", "Later", () => move(0.4))} ${button("everything", "Everything", all)}
      ${operations.some((it) => it.fault) && button("to-violation", "First violation", () => keep(around(operations)))}
      <span class="soft" id="history-range" role="status" data-from=${range[0]} data-to=${range[1]}>${inMs(range[0])} to ${inMs(range[1])}</span>
    </div>
    <${Chart} operations=${operations} visible=${visible} range=${range} select=${keep} onKeyDown=${onKeyDown} />
    <${Legend} />
    <${Violations} operations=${operations} show=${(/** @type {Operation} */ it) => keep(around(operations, it))} />
    <${Operations} visible=${visible} />`;
}

/** The log that is open, and the operations of one of its keys; a later choice cancels an earlier one. */
function useLog() {
  const [log, setLog] = useState(/** @type {Log|null} */ (null));
  const [key, setKey] = useState("");
  const [found, setFound] = useState(/** @type {{key: string, operations: Operation[], isCut: boolean}|null} */ (null));
  const [status, setStatus] = useState("");
  const [error, setError] = useState("");
  const latest = useRef(0);
  /** @template T @param {string} doing @param {() => Promise<T>} work @param {(result: T) => void} took */
  const run = async (doing, work, took) => {
    const mine = (latest.current += 1);
    setStatus(doing);
    setError("");
    try {
      const result = await work();
      if (mine === latest.current) took(result);
    } catch (caught) {
      if (mine === latest.current) setError(caught instanceof Error ? caught.message : String(caught));
    }
    if (mine === latest.current) setStatus("");
  };
  const load = (/** @type {() => Promise<Log>} */ opening) => run("The log is being read.", async () => {
    const opened = await opening();
    if (opened.keys.length === 0) throw new Error("The log has no operations.");
    return { opened, first: await operationsOf(opened, opened.keys[0].key) };
  }, ({ opened, first }) => {
    setLog(opened);
    setKey(opened.keys[0].key);
    setFound({ key: opened.keys[0].key, ...first });
  });
  const choose = (/** @type {string} */ wanted) => {
    setKey(wanted);
    if (log) run("The operations of this key are being read.", () => operationsOf(log, wanted), (it) => setFound({ key: wanted, ...it }));
  };
  return { log, key, found, status, error, load, choose };
}

/** The view of a checker's log. */
export function History() {
  const { log, key, found, status, error, load, choose } = useLog();
  const [title, setTitle] = useState("");
  const openSample = () => {
    setTitle("Recording: an excerpt of a run of the checker against naive cache-aside, 2026-11-28");
    load(sample);
  };
  useEffect(() => void openSample(), []);
  const choseFiles = (/** @type {any} */ event) => {
    if (event.target.files.length === 0) return;
    setTitle("Your log");
    load(() => chosen(event.target.files));
  };
  return html`<${Section} id="history" title="History of a violation"
    lead=${html`The checker sends reads and writes, and logs each of them. This view draws those of one product: each bar lasts from the request to the response. <code>make verify args='--log FOLDER'</code> writes a log.`}>
    <div class="panel">
      <div class="row filters">
        <label>Open a log (keys.csv, reads.csv and writes.csv) <input type="file" id="history-files" multiple accept=".csv" onChange=${choseFiles} /></label>
        <button type="button" class="button" id="history-sample" onClick=${openSample}>Open the recorded sample</button>
      </div>
      <p class="history-name"><strong id="history-name">${title}</strong> <span role="status" id="history-status">${status}</span></p>
      ${error && html`<p class="error" role="alert" id="history-error">${error}</p>`}
      ${log?.isCut && html`<p id="history-cut">The log is longer than ${count(MOST_LINES)} lines in a file. The view has the beginning only.</p>`}
      ${log && html`<label class="history-key">Product <select id="history-key" value=${key} onChange=${(/** @type {any} */ event) => choose(event.target.value)}>
        ${log.keys.slice(0, MOST_KEYS).map((it) => html`<option key=${it.key} value=${it.key}>${it.subject}, product ${it.id}: ${count(it.violations)} ${it.violations === 1 ? "violation" : "violations"} in ${count(it.operations)} operations</option>`)}</select>
        ${log.keys.length > MOST_KEYS && ` ${MOST_KEYS} of ${count(log.keys.length)} products, those with violations first`}</label>`}
      ${found?.isCut && html`<p>This product has more than ${count(MOST_OPERATIONS)} operations. The view has the earliest, and the violations.</p>`}
      ${found && found.operations.length > 0 && html`<${KeyHistory} key=${found.key + title} operations=${found.operations} />`}
    </div>
  <//>`;
}
