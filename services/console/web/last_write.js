// The latest change, strategy by strategy: how long copies were stale, and why.
import { html } from "./vendor/htm-preact.js";
import { clock, count } from "./format.js";
import { now, state } from "./live.js";
import { Section, useFrames, useLive } from "./parts.js";
import { findingOf, lasted, renameFindingOf } from "./reasons.js";
import { committedAt, publicationOf, reportsOf } from "./trail.js";

/**
 * @typedef {import("./store.js").Change} Change
 * @typedef {import("./reasons.js").Finding} Finding
 */

const CAUSES = /** @type {Record<string, string>} */ ({
  "change-price": "prices changed, each through its own strategy",
  sql: "prices changed in SQL, behind the API's back",
  "rename-category": "category renamed",
  reset: "original values restored",
  "replica-frozen": "price of production changed while a process was frozen",
  "crash-after-commit": "price of explicit changed, and the product API died after COMMIT",
});
const MARKS = { stale: "▲", was: "△", never: "●", unknown: "?" };
const SERVICES = ["cart", "search", "recommendation"];

/** @param {string} cause */
export const causeOf = (cause) => CAUSES[cause] ?? cause;

/** The events of a change that the relay has published. @param {Change} change */
function publishedOf(change) {
  return change.writes.flatMap((write) => publicationOf(state, write) ?? []);
}

/** What became of the copies of one service. @param {string} service @param {Change} change @returns {Finding} */
function serviceFinding(service, change) {
  const commit = Math.min(...change.writes.map((write) => committedAt(state, write)));
  const expected = new Set(publishedOf(change).map((it) => it.event.seq));
  const received = reportsOf("event", commit, service).filter((it) => expected.has(it.record.seq));
  const distinct = new Set(received.map((it) => it.record.seq)).size;
  const last = Math.max(...received.map((it) => it.record.at_ms)) - commit;
  const why = expected.size === 0 ? "the relay has not published the event yet"
    : distinct === 0 ? `has received none of ${expected.size} published ${expected.size === 1 ? "event" : "events"} so far`
    : `received ${distinct} of ${expected.size} published ${expected.size === 1 ? "event" : "events"}, the last ${lasted(last)} after COMMIT, and removed its entries`;
  // A copy without a name that differs has no version that differs: only the event tells.
  if (change.writes.every((write) => write.strategy === null)) {
    return { outcome: distinct > 0 ? "was" : "unknown", figure: distinct > 0 ? `told after ${lasted(last)}` : "not told yet", why };
  }
  return { ...servicesCells(service, change), why };
}

/** @param {string} service @param {Change} change @returns {{outcome: Finding["outcome"], figure: string}} */
function servicesCells(service, change) {
  // Other rows may still show how long they were stale after an earlier change.
  const isChanged = (/** @type {string} */ strategy) => change.writes.some((it) => it.strategy === strategy);
  const cells = [...state.cells.values()].filter((cell) => cell.column === service && isChanged(cell.strategy));
  const since = cells.flatMap((cell) => cell.stale_since_ms ?? []);
  const lengths = cells.flatMap((cell) => cell.stale_for_ms ?? []);
  if (since.length > 0) return { outcome: "stale", figure: `stale for ${lasted(now() - Math.min(...since))}` };
  if (lengths.length > 0) return { outcome: "was", figure: `was stale for at most ${lasted(Math.max(...lengths))}` };
  return { outcome: "never", figure: "no copy was stale" };
}

/** @param {{name: string, title: any, finding: Finding}} props */
function Line({ name, title, finding }) {
  return html`<tr data-strategy=${name} data-outcome=${finding.outcome}>
    <th scope="row">${title}</th>
    <td class="last-figure"><span class="last-mark" aria-hidden="true">${MARKS[finding.outcome]}</span>${finding.figure}</td>
    <td>${finding.why}</td>
  </tr>`;
}

/** @param {Change} change @param {any} strategy @returns {Finding|null} */
function strategyFinding(change, strategy) {
  const write = change.writes.find((it) => it.strategy === strategy.name);
  if (write) return findingOf(write);
  const row = state.truth.find((it) => it.strategy === strategy.name);
  const rename = change.writes.find((it) => it.strategy === null);
  return rename && row ? renameFindingOf(rename, row) : null;
}

/** What became of the latest change in each strategy. @param {Change|undefined} change @returns {{strategy: any, finding: Finding|null}[]} */
function findingsOf(change) {
  if (!change) return [];
  return state.config.strategies.map((/** @type {any} */ strategy) => ({ strategy, finding: strategyFinding(change, strategy) }));
}

/** The latest change in one sentence, above the board: the reasons are below it. */
export function Answer() {
  useLive();
  const findings = findingsOf(state.changes.at(-1)).filter(({ finding }) => finding);
  useFrames(state.connected && findings.some(({ finding }) => finding?.outcome === "stale"));
  if (findings.length === 0) return null;
  const late = findings.filter(({ finding }) => finding?.outcome === "stale" || finding?.outcome === "was");
  const never = findings.filter(({ finding }) => finding?.outcome === "never");
  const named = (/** @type {{strategy: any, finding: any}} */ { strategy, finding }, /** @type {number} */ index) =>
    html`${index > 0 ? ", " : ""}<strong>${strategy.title}</strong> ${finding.figure.replace(/ in (Redis|the near cache)$/, "")}`;
  return html`<p class="answer" id="answer">Latest change: ${late.map(named)}${late.length > 0 && never.length > 0 && "; "}
    ${never.length > 0 && html`${count(never.length)} ${late.length > 0 ? "others" : "strategies"} never after the response`}.
    ${" "}<a href="#board" id="why" onClick=${(/** @type {Event} */ event) => { event.preventDefault(); document.getElementById("last-title")?.scrollIntoView({ block: "start" }); }}>Why?</a></p>`;
}

export function LastWrite() {
  useLive();
  const change = state.changes.at(-1);
  const findings = findingsOf(change);
  useFrames(state.connected && findings.some(({ finding }) => finding?.outcome === "stale"));
  if (!change) {
    return html`<${Section} id="last" title="Latest change" lead="No change yet. After one, this part explains for each strategy how long it was stale, and why." />`;
  }
  const lead = html`${clock(change.at_ms)} UTC: ${causeOf(change.cause)}. <a href="#timeline">Show it on the timeline</a>`;
  return html`<${Section} id="last" title="Latest change" lead=${lead}>
    <div class="panel last" id="last-write" data-cause=${change.cause}>
      <table aria-labelledby="last-title">
        <thead class="hidden"><tr><th scope="col">Cache</th><th scope="col">Staleness</th><th scope="col">Reason</th></tr></thead>
        <tbody>${findings.map(({ strategy, finding }) => finding && html`<${Line} key=${strategy.name} name=${strategy.name}
          title=${`${strategy.number} ${strategy.title}`} finding=${finding} />`)}</tbody>
        <tbody>
          <tr><th colspan="3" scope="colgroup" class="last-group">Other services, which learn of a change from its event. The console reads each twice a second, so these times are upper bounds.</th></tr>
          ${SERVICES.map((name) => html`<${Line} key=${name} name=${name} title=${name} finding=${serviceFinding(name, change)} />`)}
        </tbody>
      </table>
    </div>
  <//>`;
}
