// One change on one clock: from COMMIT to the first read of the new version.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { get } from "./api.js";
import { clock, ms } from "./format.js";
import { state } from "./live.js";
import { Section, useLive } from "./parts.js";
import { causeOf } from "./last_write.js";
import { lanesOf, seqOf } from "./timeline_lanes.js";

/**
 * @typedef {import("./store.js").Write} Write
 * @typedef {import("./store.js").Change} Change
 * @typedef {import("./timeline_lanes.js").Step} Step
 * @typedef {import("./timeline_lanes.js").Lane} Lane
 */

const TICKS = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000];
const SHORTEST_MS = 200;

/** The position on the axis, in percent: logarithmic, because the first steps take milliseconds and the last ones seconds.
 * @param {number} at @param {number} end */
const position = (at, end) => `${(100 * Math.log10(1 + Math.max(0, at))) / Math.log10(1 + end)}%`;

/** @param {number} at */
const tickText = (at) => (at < 1000 ? `${at} ms` : `${at / 1000} s`);

/** The event in the log of the product API. @param {number|undefined} seq */
function useLogged(seq) {
  const [logged, setLogged] = useState(/** @type {any} */ (null));
  useEffect(() => {
    if (seq === undefined) return undefined;
    let isCurrent = true;
    const took = (/** @type {any} */ found) => isCurrent && setLogged(found);
    get(`/api/product-api/events?after=${seq - 1}&limit=1`).then(({ json }) => took(json.events[0] ?? null), () => took(null));
    return () => { isCurrent = false; };
  }, [seq]);
  return logged?.seq === seq ? logged : null;
}

/** @param {{end: number}} props */
function Axis({ end }) {
  return html`<div class="axis" aria-hidden="true">
    <span class="axis-title">time since COMMIT, logarithmic</span>
    <div class="track"><span class="tick is-first">0</span>${TICKS.filter((at) => at <= end).map((at) => html`<span key=${at} class="tick" style=${{ left: position(at, end) }}>${tickText(at)}</span>`)}</div>
  </div>`;
}

/** @param {{end: number}} props */
const Grid = ({ end }) => TICKS.filter((at) => at <= end).map((at) => html`<i key=${at} class="grid" style=${{ left: position(at, end) }}></i>`);

/** @param {{step: Step}} props */
function Raw({ step }) {
  const trace = step.raw.traceparent;
  return html`<div class="raw" id="raw-${step.id}">
    <p>${trace ? html`Trace: <code data-trace>${trace.split("-")[1] ?? trace}</code>` : "This record has no trace id."}</p>
    <pre tabindex="0">${JSON.stringify(step.raw, null, 2)}</pre>
  </div>`;
}

/** @param {{step: Step, end: number, isOpen: boolean, toggle: () => void}} props */
function StepLine({ step, end, isOpen, toggle }) {
  return html`<li>
    <button type="button" class="step" data-step=${step.kind} aria-expanded=${isOpen} aria-controls="raw-${step.id}" onClick=${toggle}>
      <span class="step-text">${step.text}${step.note && html`<em class="step-note">▲ ${step.note}</em>`}</span>
      <span class="step-at">${ms(Math.max(0, Math.round(step.at)))}</span>
      <span class="track" aria-hidden="true"><${Grid} end=${end} /><i class="dot dot-${step.kind}" style=${{ left: position(step.at, end) }}></i></span>
    </button>
    ${isOpen && html`<${Raw} step=${step} />`}
  </li>`;
}

/** @param {{gap: {from: number, text: string}, end: number}} props */
function GapLine({ gap, end }) {
  return html`<li class="step is-gap" data-step="gap">
    <span class="step-text">▲ ${gap.text}</span><span class="step-at">–</span>
    <span class="track" aria-hidden="true"><${Grid} end=${end} /><i class="gap" style=${{ left: position(gap.from, end) }}></i></span>
  </li>`;
}

/** @param {{lane: Lane, end: number, open: string, setOpen: (id: string) => void}} props */
function LaneView({ lane, end, open, setOpen }) {
  return html`<section class="lane" data-lane=${lane.id} aria-label=${lane.title}>
    <h3>${lane.title}</h3>
    <ul>
      ${lane.steps.map((step) => html`<${StepLine} key=${step.id} step=${step} end=${end} isOpen=${open === step.id}
        toggle=${() => setOpen(open === step.id ? "" : step.id)} />`)}
      ${lane.gaps.map((gap) => html`<${GapLine} key=${gap.text} gap=${gap} end=${end} />`)}
      ${lane.steps.length + lane.gaps.length === 0 && html`<li class="step is-empty"><span class="step-text">no step reported</span></li>`}
    </ul>
  </section>`;
}

/** When the row of a write is written next. @param {Write} write @param {Change} change */
function nextWriteAt(write, change) {
  const later = state.changes.slice(state.changes.indexOf(change) + 1).flatMap((it) => it.writes);
  return later.find((it) => it.strategy === null || it.strategy === write.strategy)?.at_ms ?? Infinity;
}

/** @param {{write: Write, change: Change}} props */
function Chart({ write, change }) {
  const [open, setOpen] = useState("");
  const logged = useLogged(seqOf(write));
  const lanes = lanesOf(write, logged, nextWriteAt(write, change));
  const last = Math.max(...lanes.flatMap((lane) => lane.steps.map((step) => step.at)));
  const end = Math.max(SHORTEST_MS, last * 1.6);
  return html`<div class="panel timeline" id="timeline-chart">
    <${Axis} end=${end} />
    ${lanes.map((lane) => html`<${LaneView} key=${lane.id} lane=${lane} end=${end} open=${open} setOpen=${setOpen} />`)}
  </div>`;
}

/** @param {Write} write */
function productOf(write) {
  if (write.strategy === null) return "the category";
  const strategy = state.config.strategies.find((/** @type {any} */ it) => it.name === write.strategy);
  return `${strategy.number} ${strategy.title}`;
}

/** @param {{changes: Change[], change: Change, write: Write, choose: (id: string) => void, prefer: (strategy: string) => void}} props */
function Choice({ changes, change, write, choose, prefer }) {
  const order = (/** @type {Write} */ it) => state.config.strategies.findIndex((/** @type {any} */ known) => known.name === it.strategy);
  const writes = [...change.writes].sort((a, b) => order(a) - order(b));
  const idOf = (/** @type {Change} */ it) => it.writes[0].id;
  return html`<div class="row timeline-choice">
    <label>Change <select id="timeline-change" value=${idOf(change)} onChange=${(/** @type {any} */ event) => choose(event.target.value)}>
      ${changes.map((it) => html`<option key=${idOf(it)} value=${idOf(it)} selected=${it === change}>${clock(it.at_ms)}: ${causeOf(it.cause)}</option>`)}
    </select></label>
    <label>Product <select id="timeline-product" value=${write.id} onChange=${(/** @type {any} */ event) => prefer(writes.find((it) => it.id === event.target.value)?.strategy ?? "")}>
      ${writes.map((it) => html`<option key=${it.id} value=${it.id} selected=${it === write}>${productOf(it)}</option>`)}
    </select></label>
  </div>`;
}

export function Timeline() {
  useLive();
  // Without a choice, the latest change is shown.
  const [chosen, choose] = useState("");
  const [strategy, prefer] = useState("");
  const changes = [...state.changes].reverse();
  const change = changes.find((it) => it.writes[0].id === chosen) ?? changes[0];
  const lead = "Every step of one write, on one clock. Press a step to read its raw record.";
  if (!change) return html`<${Section} id="timeline" title="Timeline" lead=${html`No change yet. <a href="#board">Change a price on the board</a>, and come back.`} />`;
  const fallback = change.writes.find((it) => it.strategy === state.config.strategies[0].name) ?? change.writes[0];
  const write = change.writes.find((it) => it.strategy === strategy) ?? fallback;
  return html`<${Section} id="timeline" title="Timeline" lead=${lead}>
    <${Choice} changes=${changes} change=${change} write=${write} choose=${(/** @type {string} */ id) => choose(id === changes[0].writes[0].id ? "" : id)} prefer=${prefer} />
    <${Chart} key=${write.id} write=${write} change=${change} />
  <//>`;
}
