// The chart of one key's operations: a lane for each session, a bar for each operation, and bands for the floor.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { count } from "./format.js";
import { floors, remark } from "./history_log.js";

/** @typedef {import("./history_log.js").Operation} Operation @typedef {[number, number]} Range  in ns of the run's clock */

const LABELS = 92;
const LANE = 28;
const TOP = 44;
const NARROWEST = 640;
/** Bars that are drawn at once; more could not be told apart. */
const MOST_BARS = 1_500;
/** A selection below this width is a click, in px. */
const SMALLEST_SELECTION = 6;

const decimals = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
/** @param {number} ns */
export const inMs = (ns) => `${decimals.format(ns / 1e6)} ms`;

/** Round times within a range, at most `most`. @param {Range} range @param {number} most @returns {number[]} */
export function ticks([from, to], most) {
  const least = (to - from) / most;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((it) => it * power).find((it) => it >= least) ?? 10 * power;
  const first = Math.ceil(from / step);
  return Array.from({ length: Math.max(0, Math.floor(to / step) - first + 1) }, (_, index) => (first + index) * step);
}

/** Those of the operations that are drawn: violations always, then the earliest. @param {Operation[]} visible */
function drawn(visible) {
  const violations = visible.filter((it) => it.fault).slice(0, MOST_BARS);
  return [...violations, ...visible.filter((it) => !it.fault).slice(0, MOST_BARS - violations.length)];
}

/** @param {Operation} operation */
function kindClass({ kind, fault, acknowledged, version, floor }) {
  const isLate = kind === "read" && !fault && version !== null && version < (floor ?? 0);
  return `bar bar-${kind} ${fault ? "is-violation" : ""} ${isLate || !acknowledged ? "is-late" : ""}`;
}

/** @param {{operation: Operation, x: (ns: number) => number, y: number}} props */
function Bar({ operation, x, y }) {
  const { kind, begin, end, version, source } = operation;
  const [left, right] = [x(begin), Math.max(x(end), x(begin) + 3)];
  const text = `${kind === "write" ? "W" : "R"} ${version ?? "?"}`;
  return html`<g class=${kindClass(operation)} data-kind=${kind} data-fault=${operation.fault} data-version=${version}>
    <title>${kind} of version ${version ?? "unknown"}, ${inMs(begin)} to ${inMs(end)}, ${source}. ${remark(operation)}</title>
    <rect x=${left} y=${y + 4} width=${right - left} height=${LANE - 8} rx="3" />
    ${right - left > 12 + text.length * 7 && html`<text x=${left + 6} y=${y + 18}>${text}</text>`}
  </g>`;
}

/** A line through all lanes, so that a violation is visible at a glance. @param {{operation: Operation, x: (ns: number) => number, y: number, height: number}} props */
function Violation({ operation, x, y, height }) {
  const { fault, version, floor, begin } = operation;
  const text = fault === "Stale" ? `▼ shows v${version}, must show v${floor}` : `▼ ${fault.toLowerCase()}: v${version ?? "?"}`;
  return html`<g class="violation">
    <line x1=${x(begin)} x2=${x(begin)} y1=${TOP - 6} y2=${height - 22} />
    <text x=${x(begin) + 5} y=${y + 1}>${text}</text>
  </g>`;
}

/** @param {{operations: Operation[], range: Range, x: (ns: number) => number, height: number}} props */
function Floors({ operations, range: [from, to], x, height }) {
  const steps = floors(operations);
  const before = steps.findLast((it) => it.at <= from);
  const bands = [...(before ? [{ at: from, version: before.version }] : []), ...steps.filter((it) => it.at > from && it.at < to)];
  return html`${bands.map(({ at, version }, index) => {
    const width = Math.max(0, x(bands[index + 1]?.at ?? to) - x(at));
    return html`<g key=${version} class="floor" data-floor=${version}>
      <rect class=${version % 2 ? "is-odd" : ""} x=${x(at)} y="16" width=${width} height=${height - 38} />
      <line x1=${x(at)} x2=${x(at)} y1="16" y2=${height - 22} />
      ${width > 34 && html`<text x=${x(at) + 5} y="31">≥ v${version}</text>`}
    </g>`;
  })}`;
}

/** The width of an element, at least NARROWEST. @returns {[{current: HTMLElement|null}, number]} */
function useWidth() {
  const element = useRef(/** @type {HTMLElement|null} */ (null));
  const [width, setWidth] = useState(NARROWEST);
  useEffect(() => {
    if (!element.current) return undefined;
    const observer = new ResizeObserver(([{ contentRect }]) => setWidth(Math.max(NARROWEST, Math.floor(contentRect.width))));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, width];
}

/** Selecting a range with the pointer. @param {(px: number) => number} time @param {(range: Range) => void} select */
function useSelection(time, select) {
  const [drag, setDrag] = useState(/** @type {Range|null} */ (null));
  const at = (/** @type {any} */ event) => event.clientX - event.currentTarget.getBoundingClientRect().left;
  const handlers = {
    onPointerDown: (/** @type {any} */ event) => {
      // A finger scrolls the chart; it has the buttons.
      if (event.pointerType === "touch" || event.button !== 0) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      setDrag([at(event), at(event)]);
    },
    onPointerMove: (/** @type {any} */ event) => drag && setDrag([drag[0], at(event)]),
    onPointerUp: () => {
      if (drag && Math.abs(drag[1] - drag[0]) >= SMALLEST_SELECTION) select([time(Math.min(...drag)), time(Math.max(...drag))]);
      setDrag(null);
    },
    onPointerCancel: () => setDrag(null),
  };
  return { drag, handlers };
}

/** @param {{operations: Operation[], visible: Operation[], range: Range, select: (range: Range) => void, onKeyDown: (event: KeyboardEvent) => void}} props */
export function Chart({ operations, visible, range, select, onKeyDown }) {
  const [element, width] = useWidth();
  const [from, to] = range;
  const x = (/** @type {number} */ ns) => LABELS + Math.min(1, Math.max(0, (ns - from) / (to - from))) * (width - LABELS - 12);
  const time = (/** @type {number} */ px) => from + Math.min(1, Math.max(0, (px - LABELS) / (width - LABELS - 12))) * (to - from);
  const { drag, handlers } = useSelection(time, select);
  const shown = drawn(visible);
  const sessions = [...new Set(shown.map((it) => it.session))].sort((one, other) => Number(one) - Number(other));
  const lane = new Map(sessions.map((session, index) => [session, TOP + index * LANE]));
  const height = TOP + Math.max(1, sessions.length) * LANE + 28;
  const y = (/** @type {Operation} */ it) => lane.get(it.session) ?? TOP;
  return html`<div class="history-chart" id="history-chart" ref=${element} tabindex="0" role="group" onKeyDown=${onKeyDown} aria-keyshortcuts="+ - ArrowLeft ArrowRight Home"
    aria-label="Operations over time. Plus and minus zoom, the arrow keys move, Home shows everything. The table below has the same operations.">
    <svg class="history" viewBox="0 0 ${width} ${height}" width=${width} height=${height} aria-hidden="true" ...${handlers}>
      <${Floors} operations=${operations} range=${range} x=${x} height=${height} />
      ${sessions.map((session) => html`<text key=${session} class="history-lane" x="0" y=${(lane.get(session) ?? 0) + 18}>session ${session}</text>`)}
      ${shown.map((it) => html`<${Bar} operation=${it} x=${x} y=${y(it)} />`)}
      ${shown.filter((it) => it.fault).map((it) => html`<${Violation} operation=${it} x=${x} y=${y(it)} height=${height} />`)}
      ${ticks(range, width / 150).map((at) => html`<text key=${at} class="history-tick" x=${x(at)} y=${height - 5} text-anchor="middle">${inMs(at)}</text>`)}
      ${drag && html`<rect class="selection" x=${Math.min(...drag)} y="16" width=${Math.abs(drag[1] - drag[0])} height=${height - 38} />`}
    </svg>
    ${visible.length > shown.length && html`<p class="soft">The chart has ${count(shown.length)} of ${count(visible.length)} operations. Zoom in to see the others.</p>`}
  </div>`;
}
