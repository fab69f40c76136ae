// What each plot shows, as columns of numbers: the plots, the tables and the CSV text are made from the same ones.

/**
 * @typedef {import("./store.js").Figures} Figures
 * @typedef {{id: string, title: string, unit: string, note: string, scale: "zero"|"log"|"share"|"count",
 *   of: (it: Figures) => number|null, text: (value: number|null) => string}} Plot
 * @typedef {{at_ms: number, strategies: Figures[]}} Second
 */

/** What a plot with the scale `zero` draws for 0: its axis is logarithmic, and its smallest other value is 1. */
export const FLOOR = 0.3;
/** The window of the plots, in s. */
export const WINDOW_S = 60;
/** Figures arrive each second; two that are further apart do not belong together. */
const PAUSE_MS = 2500;

const two = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const text = (/** @type {number|null} */ value) => (value === null ? "–" : two.format(value));

/** @type {Plot[]} */
export const PLOTS = [
  { id: "staleness", title: "Staleness of reads", unit: "ms", scale: "zero", text, of: (it) => it.max_stale_ms,
    note: "How old the oldest value was that a read returned. The lowest line, 0, means that every read was fresh. A read during a write may return the old value." },
  { id: "hits", title: "Hit ratio", unit: "%", scale: "share", text, of: hitRatio,
    note: "Reads that a cache answered, in memory or in Redis, fresh or stale." },
  { id: "loads", title: "Database loads", unit: "per second", scale: "count", text, of: (it) => it.loads,
    note: "Reads that went to the database." },
  { id: "p50", title: "Read time, median (p50)", unit: "ms", scale: "log", text, of: (it) => it.p50_ms,
    note: "Half of the reads were faster." },
  { id: "p99", title: "Read time, slowest 1 % (p99)", unit: "ms", scale: "log", text, of: (it) => it.p99_ms,
    note: "With few reads a second, this is the slowest read." },
];

/** @param {Figures} it */
function hitRatio(it) {
  return it.reads === 0 ? null : (100 * (it.near_hits + it.redis_hits + it.stale_hits)) / it.reads;
}

/** The seconds of the window. @param {Second[]} figures */
export function lastMinute(figures) {
  const end = figures.at(-1)?.at_ms ?? 0;
  return figures.filter((it) => it.at_ms > end - WINDOW_S * 1000);
}

/** The values of a plot, second by second, in the order of `strategies`.
 * @param {Plot} plot @param {Second[]} seconds @param {string[]} strategies @returns {(number|null)[][]} */
export function valuesOf(plot, seconds, strategies) {
  return seconds.map((second) => strategies.map((name) => {
    const figures = second.strategies.find((it) => it.strategy === name);
    return figures ? plot.of(figures) : null;
  }));
}

/** The data of uPlot: seconds before the latest figures, and one series for each strategy.
 * @param {Plot} plot @param {Second[]} seconds @param {string[]} strategies */
export function seriesOf(plot, seconds, strategies) {
  const end = seconds.at(-1)?.at_ms ?? 0;
  const drawn = (/** @type {number|null} */ value) => (value !== null && plot.scale === "zero" ? Math.max(value, FLOOR) : value);
  const none = strategies.map(() => null);
  const points = valuesOf(plot, seconds, strategies).flatMap((row, i) => {
    const point = { x: (seconds[i].at_ms - end) / 1000, row: row.map(drawn) };
    // The console reads only while a page is open: no line crosses the time without figures.
    const isAfterPause = i > 0 && seconds[i].at_ms - seconds[i - 1].at_ms > PAUSE_MS;
    return isAfterPause ? [{ x: point.x - 1, row: none }, point] : [point];
  });
  return [points.map((it) => it.x), ...strategies.map((_, i) => points.map((it) => it.row[i]))];
}

/** @param {Plot} plot @param {Second[]} seconds @param {string[]} strategies */
export function csvOf(plot, seconds, strategies) {
  const rows = valuesOf(plot, seconds, strategies);
  const lines = rows.map((row, i) => [new Date(seconds[i].at_ms).toISOString(), ...row.map((value) => value ?? "")].join(","));
  return [["time", ...strategies].join(","), ...lines, ""].join("\n");
}
