// One uPlot chart, kept and updated: its options, its colours and the labels at the ends of its lines.
import { FLOOR, WINDOW_S } from "./plots_figures.js";

/** @typedef {import("./plots_figures.js").Plot} Plot */

/** Patterns, so that no line differs from another by its colour alone. */
const DASHES = [[], [8, 4], [2, 3], [12, 3, 2, 3], [5, 2], [14, 5], [3, 3, 8, 3]];
const LABEL_HEIGHT = 14;
/** Narrower charts have the short names of the strategies. */
const NARROW = 440;
export const HEIGHT = 236;

/** @param {string} name of a custom property */
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** The colour of the strategy at a position. @param {number} index */
export const colourOf = (index) => token(`--series-${index + 1}`);

/** @param {Plot} plot */
const isLogarithmic = (plot) => plot.scale === "log" || plot.scale === "zero";

/** @param {Plot} plot @param {number} high */
function rangeOf(plot, high) {
  if (plot.scale === "share") return [0, 104];
  if (plot.scale === "count") return [0, Math.max(4, high * 1.15)];
  return [plot.scale === "zero" ? FLOOR * 0.8 : 0.1, Math.max(100, high * 2)];
}

/** @param {Plot} plot @param {number} value */
function tickText(plot, value) {
  if (!isLogarithmic(plot)) return Number.isInteger(value) ? `${value}` : "";
  if (value === FLOOR) return "0";
  return value >= 1000 ? `${value / 1000} s` : `${value} ms`;
}

/** The rows of labels, moved apart so that none covers another. @param {{y: number}[]} labels @param {number} top @param {number} bottom @param {number} height */
function spread(labels, top, bottom, height) {
  labels.sort((a, b) => a.y - b.y);
  labels.forEach((label, i) => { label.y = Math.max(label.y, i === 0 ? top : labels[i - 1].y + height); });
  for (let i = labels.length - 1; i >= 0; i -= 1) {
    labels[i].y = Math.min(labels[i].y, i === labels.length - 1 ? bottom : labels[i + 1].y - height);
  }
}

/** Writes the strategy's name beside the end of each line. @param {any} chart */
function drawLabels(chart) {
  const { ctx, bbox } = chart;
  const ratio = devicePixelRatio;
  const labels = chart.series.slice(1).flatMap((/** @type {any} */ series, /** @type {number} */ i) => {
    const value = chart.data[i + 1].at(-1);
    if (value === null || value === undefined) return [];
    return [{ name: series.label, i, end: chart.valToPos(value, "y", true), y: chart.valToPos(value, "y", true) }];
  });
  spread(labels, bbox.top, bbox.top + bbox.height, LABEL_HEIGHT * ratio);
  const x = bbox.left + bbox.width;
  ctx.save();
  ctx.font = `600 ${11.5 * ratio}px ${token("--font")}`;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  for (const label of labels) {
    ctx.fillStyle = ctx.strokeStyle = colourOf(label.i);
    ctx.lineWidth = ratio;
    ctx.setLineDash([]);
    ctx.beginPath();
    ctx.moveTo(x, label.end);
    ctx.lineTo(x + 10 * ratio, label.y);
    ctx.stroke();
    ctx.fillText(label.name, x + 13 * ratio, label.y);
  }
  ctx.restore();
}

/** @param {Plot} plot */
function axesOf(plot) {
  const common = { stroke: () => token("--soft"), grid: { stroke: () => token("--line"), width: 1 }, ticks: { show: false }, font: `12px ${token("--font")}` };
  const decades = (/** @type {any} */ _, /** @type {number} */ _axis, /** @type {number} */ _low, /** @type {number} */ high) =>
    [plot.scale === "zero" ? FLOOR : 0.1, 1, 10, 100, 1000, 10_000, 100_000, 1_000_000].filter((value) => value <= high);
  return [
    { ...common, size: 30, splits: () => [-60, -45, -30, -15, 0], values: (/** @type {any} */ _, /** @type {number[]} */ all) => all.map((at) => (at === 0 ? "now" : `${at} s`)) },
    { ...common, size: 62, ...(isLogarithmic(plot) ? { splits: decades, filter: (/** @type {any} */ _, /** @type {number[]} */ all) => all } : {}),
      values: (/** @type {any} */ _, /** @type {number[]} */ all) => all.map((value) => tickText(plot, value)) },
  ];
}

/** @param {Plot} plot @param {{name: string, title: string}[]} strategies @param {number} width */
function optionsOf(plot, strategies, width) {
  const isNarrow = width < NARROW;
  return {
    width, height: HEIGHT,
    padding: [10, isNarrow ? 108 : 172, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: false, range: [-WINDOW_S, 0] },
      y: { distr: isLogarithmic(plot) ? 3 : 1, range: (/** @type {any} */ _, /** @type {number} */ _low, /** @type {number|null} */ high) => rangeOf(plot, high ?? 0) },
    },
    axes: axesOf(plot),
    series: [{}, ...strategies.map(({ name, title }, i) => ({ label: isNarrow ? name : title, stroke: () => colourOf(i), width: 2, dash: DASHES[i % DASHES.length], points: { show: false }, spanGaps: false }))],
    hooks: { draw: [drawLabels] },
  };
}

/** Makes a chart in `host`. @param {Plot} plot @param {{name: string, title: string}[]} strategies @param {HTMLElement} host @param {any[]} data */
export function makeChart(plot, strategies, host, data) {
  return new uPlot(optionsOf(plot, strategies, host.clientWidth), data, host);
}
