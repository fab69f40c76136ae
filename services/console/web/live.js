// The connection to /live: applies its records, and draws at most once a frame.
import { apply, empty } from "./store.js";

/** @typedef {import("./store.js").State} State */

/** @type {State} */
export const state = empty();

/** @type {Set<() => void>} */
const views = new Set();
/** @type {Set<(records: any[]) => void>} */
const listeners = new Set();
let isDue = false;

/** Draws soon. Several calls before the next frame draw once. */
export function redraw() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    for (const view of views) view();
  });
}

/** Calls `view` for each frame in which something has changed. @param {() => void} view @returns {() => void} */
export function onChange(view) {
  views.add(view);
  return () => views.delete(view);
}

/** Passes every message on, for the recorder. @param {(records: any[]) => void} listener @returns {() => void} */
export function onRecords(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The browser's clock, in ms since 1970; a recording has a clock of its own. */
let clock = () => Date.now();

/** Replaces the clock. @param {() => number} other */
export function setClock(other) {
  clock = other;
}

/** The console's clock, in ms since 1970. */
export function now() {
  return clock() + state.offset;
}

/** Applies records, as if they had just arrived. @param {any[]} records */
export function receive(records) {
  for (const record of records) apply(state, record, clock());
  for (const listener of listeners) listener(records);
  redraw();
}

/** Connects, and reconnects for as long as the page is open. */
export function connect() {
  // The browser resumes by itself: it sends the id of the last message.
  const source = new EventSource("/live");
  source.onopen = () => {
    state.connected = true;
    redraw();
  };
  source.onmessage = (message) => receive(JSON.parse(message.data));
  source.onerror = () => {
    state.connected = false;
    redraw();
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 1000);
  };
}
