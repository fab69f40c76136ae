// Figures of the last minute: five plots, each also as a table and as CSV text.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { clock } from "./format.js";
import { state } from "./live.js";
import { Action, Section, useLive } from "./parts.js";
import { HEIGHT, makeChart } from "./plots_chart.js";
import { csvOf, lastMinute, PLOTS, seriesOf, valuesOf } from "./plots_figures.js";

/**
 * @typedef {import("./plots_figures.js").Plot} Plot
 * @typedef {import("./plots_figures.js").Second} Second
 * @typedef {{plot: Plot, seconds: Second[], strategies: any[]}} Props
 */

/** @param {any[]} strategies @returns {string[]} */
const names = (strategies) => strategies.map((it) => it.name);

/** Draws again when the theme changes: the colours are read while drawing. */
function themeOf() {
  return document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

/** @param {Props} props */
function Chart({ plot, seconds, strategies }) {
  const host = useRef(/** @type {HTMLElement|null} */ (null));
  const chart = useRef(/** @type {any} */ (null));
  const latest = seconds.at(-1)?.at_ms;
  const data = () => seriesOf(plot, seconds, names(strategies));
  const width = useWidth(host);
  const theme = themeOf();
  useEffect(() => {
    if (!host.current || width === 0) return undefined;
    const made = makeChart(plot, strategies, host.current, data());
    chart.current = made;
    return () => made.destroy();
  }, [width]);
  useEffect(() => chart.current?.setData(data()), [latest]);
  useEffect(() => chart.current?.redraw(false, true), [theme]);
  return html`<div class="plot-host" ref=${host} style=${{ minHeight: `${HEIGHT}px` }} role="img"
    aria-label="${plot.title} of each strategy in the last minute. The table below has the same figures."></div>`;
}

/** The width of an element, as it changes. @param {{current: HTMLElement|null}} host */
function useWidth(host) {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    if (host.current) observer.observe(host.current);
    return () => observer.disconnect();
  }, []);
  return width;
}

/** @param {Props} props */
function Table({ plot, seconds, strategies }) {
  const [isOpen, setOpen] = useState(false);
  const rows = isOpen ? valuesOf(plot, seconds, names(strategies)).map((values, i) => ({ at: seconds[i].at_ms, values })).reverse() : [];
  return html`<details class="plot-table" onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}>
    <summary>Table</summary>
    <div class="scroll" tabindex="0" role="region" aria-label="${plot.title}, as a table">
      <table>
        <thead><tr><th scope="col">UTC</th>${strategies.map((it) => html`<th key=${it.name} scope="col" class="number">${it.name}</th>`)}</tr></thead>
        <tbody>${rows.map(({ at, values }) => html`<tr key=${at}><th scope="row">${clock(at).slice(0, 8)}</th>
          ${values.map((value, i) => html`<td key=${i} class="number">${plot.text(value)}</td>`)}</tr>`)}</tbody>
      </table>
    </div>
  </details>`;
}

/** @param {Props} props */
function Copy({ plot, seconds, strategies }) {
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => setSaid(""), 3000);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    await navigator.clipboard.writeText(csvOf(plot, seconds, names(strategies)));
    setSaid(`Copied ${seconds.length} rows.`);
  };
  return html`<span class="plot-copy"><span role="status">${said}</span><${Action} id="copy-${plot.id}" kind="quiet" isLocal=${true} act=${copy}>Copy as CSV<//></span>`;
}

/** @param {Props} props */
function PlotView(props) {
  const { plot } = props;
  return html`<section class="panel plot" data-plot=${plot.id} aria-labelledby="plot-${plot.id}">
    <header><h3 id="plot-${plot.id}">${plot.title} <small>${plot.unit}</small></h3><${Copy} ...${props} /></header>
    <p>${plot.note}</p>
    <${Chart} ...${props} />
    <${Table} ...${props} />
  </section>`;
}

export function Plots() {
  useLive();
  const seconds = lastMinute(state.figures);
  const strategies = state.config.strategies;
  const lead = "Each line is one strategy in the last minute. The figures count the console's own reads, two a second for each strategy, and the reads of the load while it runs.";
  return html`<${Section} id="plots" title="Plots" lead=${lead}>
    ${seconds.length === 0 && html`<p role="status">The first figures arrive within a second.</p>`}
    <div class="plots">${PLOTS.map((plot) => html`<${PlotView} key=${plot.id} plot=${plot} seconds=${seconds} strategies=${strategies} />`)}</div>
  <//>`;
}
