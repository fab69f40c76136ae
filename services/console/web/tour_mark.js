// Marks the row of the tour's strategy, and the cells that a step is about.
import { state } from "./live.js";

/** The rules for the current step. A sheet of its own, because the board draws its rows again with each change. */
const sheet = new CSSStyleSheet();

/** @param {string} strategy @param {string[]} columns */
function rules(strategy, columns) {
  const row = `.board-table tr[data-strategy="${strategy}"]`;
  const cells = columns.map((column) => `${row} td[data-column="${column}"]`).join(", ");
  return [
    `${row} { background: var(--accent-soft); outline: 2px solid var(--accent); outline-offset: -2px; }`,
    cells && `:is(${cells}) .cell-box { outline: 2px dashed var(--accent); outline-offset: -1px; }`,
  ].join("\n");
}

/** @param {string} strategy */
const rowOf = (strategy) => document.querySelector(`.board-table tr[data-strategy="${strategy}"]`);

/** @param {string} strategy @param {number} room above the panel, in px */
function isVisible(strategy, room) {
  const box = rowOf(strategy)?.getBoundingClientRect();
  return box === undefined || (box.top >= 0 && box.bottom <= room);
}

/** Scrolls so that the panel hides neither the strategy's row nor, if there is room for it, the rest of the board. @param {string} strategy @param {number} room above the panel, in px */
function bringIntoView(strategy, room) {
  const board = document.querySelector(".board-panel");
  const row = rowOf(strategy);
  const isRoomy = board && board.getBoundingClientRect().height + 24 < room;
  if (isRoomy) board.scrollIntoView({ block: "end" });
  else row?.scrollIntoView({ block: "center" });
}

/** @param {string} strategy @param {string[]} columns @param {HTMLElement|null} panel the tour's panel */
export function markRow(strategy, columns, panel) {
  // The name comes from the address, and becomes a part of a style rule.
  if (!state.config?.strategies.some((/** @type {any} */ it) => it.name === strategy)) return;
  const root = document.documentElement;
  const isNew = root.dataset.tour !== strategy;
  const room = panel?.getBoundingClientRect().top ?? innerHeight;
  root.dataset.tour = strategy;
  root.style.setProperty("--tour-height", `${Math.ceil(innerHeight - room)}px`);
  sheet.replaceSync(rules(strategy, columns));
  if (!document.adoptedStyleSheets.includes(sheet)) document.adoptedStyleSheets.push(sheet);
  // Within a tour, the visitor may have scrolled on purpose: the page scrolls only if the step's row is hidden.
  if (isNew || !isVisible(strategy, room)) bringIntoView(strategy, room);
}

/** Removes the marks when the tour is closed. */
export function unmark() {
  delete document.documentElement.dataset.tour;
  document.adoptedStyleSheets = document.adoptedStyleSheets.filter((it) => it !== sheet);
}
