// Recording: what /live has sent, in one HTML file that plays offline.
//
// The file contains the page's own modules and styles. An import map gives each module the address of its text, so no
// file is transformed, and no request is sent.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { onRecords, receive, redraw, setClock, state } from "./live.js";
import { empty } from "./store.js";

/** A recording ends by itself after this time, or at this size. */
const LONGEST_MS = 300_000;
const LARGEST = 8_000_000;

/** @typedef {{at_ms: number, records: any[]}} Message  at_ms: since the begin of the recording */
/** @typedef {{recordedAt: number, config: any, messages: Message[]}} Playback */

/** The recording in this file, if the page is one. @type {Playback|null} */
export const playback = (() => {
  const element = document.getElementById("recording");
  return element ? JSON.parse(element.textContent ?? "null") : null;
})();

/** The state of the page as records, so that a recording begins with it. @returns {any[]} */
function snapshot() {
  const at_ms = Date.now() + state.offset;
  return [
    { kind: "hello", at_ms, resumed: false },
    ...state.services.values(),
    { kind: "truth", at_ms, rows: state.truth },
    { kind: "board", at_ms, cells: [...state.cells.values()] },
    ...state.figures,
    ...(state.load ? [{ ...state.load, kind: "load" }] : []),
    { kind: "faults", faults: state.faults },
    ...[...state.tasks.values()],
  ];
}

/** Collects the messages until it is stopped. */
class Recorder {
  constructor() {
    this.began = Date.now();
    /** @type {Message[]} */
    this.messages = [{ at_ms: 0, records: snapshot() }];
    this.size = JSON.stringify(this.messages).length;
    this.isFull = false;
    this.off = onRecords((records) => this.add(records));
  }

  /** @param {any[]} records */
  add(records) {
    const at_ms = Date.now() - this.began;
    this.size += JSON.stringify(records).length;
    if (at_ms > LONGEST_MS || this.size > LARGEST) {
      this.isFull = true;
      this.off();
      redraw();
      return;
    }
    this.messages.push({ at_ms, records });
  }

  stop() {
    this.off();
    return { recordedAt: this.began, config: state.config, messages: this.messages };
  }
}

/** Text that may stand in a script element. @param {string} text */
const inScript = (text) => text.replaceAll("<", "\\u003c");

/** @param {string} path */
async function textOf(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path} cannot be read.`);
  return answer.text();
}

/** Reads a module and all that it imports. @param {string} path @param {Map<string, string>} known */
async function modules(path, known) {
  if (known.has(path)) return;
  const text = await textOf(path);
  known.set(path, text);
  const imported = [...text.matchAll(/from "(\.\/[^"]+)"/g)].map((match) => new URL(match[1], new URL(path, location.origin)).pathname);
  for (const next of imported) await modules(next, known);
}

/** Makes the file. @param {Playback} recorded @returns {Promise<string>} */
export async function makeFile(recorded) {
  /** @type {Map<string, string>} */
  const known = new Map();
  await modules("/assets/app.js", known);
  // Relative imports need an address: each module is imported by its path instead.
  /** @type {Record<string, string>} */
  const imports = {};
  for (const [path, text] of known) {
    const absolute = text.replaceAll(/from "(\.\/[^"]+)"/g, (_, name) => `from "page:${new URL(name, new URL(path, location.origin)).pathname}"`);
    imports[`page:${path}`] = `data:text/javascript;base64,${btoa(String.fromCharCode(...new TextEncoder().encode(absolute)))}`;
  }
  const sheets = [...document.querySelectorAll("link[rel=stylesheet]")].map((link) => textOf(link.getAttribute("href") ?? ""));
  const styles = (await Promise.all(sheets)).join("\n").replaceAll("</", "<\\/");
  const plots = (await textOf("/assets/vendor/uplot.js")).replaceAll("</script", "<\\/script");
  const icon = `data:image/svg+xml;base64,${btoa(await textOf("/assets/icon.svg"))}`;
  const title = `Recording of the console, ${new Date(recorded.recordedAt).toISOString()}`;
  return [
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">",
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">",
    `<title>${title}</title><link rel="icon" href="${icon}"><style>${styles}</style>`,
    `<script type="application/json" id="recording">${inScript(JSON.stringify(recorded))}</script>`,
    `<script type="importmap">${inScript(JSON.stringify({ imports }))}</script>`,
    `<script>${plots}</script></head><body><div id="app"></div>`,
    "<script type=\"module\">import \"page:/assets/app.js\";</script></body></html>",
  ].join("\n");
}

/** @param {string} text */
function download(text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/html" }));
  link.download = `console-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.html`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** The button in the header, or the player. */
export function RecordButton() {
  const [recorder, setRecorder] = useState(/** @type {Recorder|null} */ (null));
  const [error, setError] = useState("");
  if (playback) return html`<${Player} recorded=${playback} />`;
  const stop = async () => {
    try {
      download(await makeFile(/** @type {Recorder} */ (recorder).stop()));
      setError("");
    } catch (caught) {
      setError(caught instanceof Error ? caught.message : String(caught));
    }
    setRecorder(null);
  };
  if (!recorder) {
    return html`<button type="button" class="button" id="record" onClick=${() => setRecorder(new Recorder())}>Record</button>
      ${error && html`<span class="error" role="alert">${error}</span>`}`;
  }
  return html`<button type="button" class="button danger" id="stop-recording" onClick=${stop}>
    ${recorder.isFull ? "Download (the recording is full)" : "Stop and download"}</button>`;
}

/** @param {{recorded: Playback}} props */
function Player({ recorded }) {
  const length = recorded.messages.at(-1)?.at_ms ?? 0;
  const [at, setAt] = useState(0);
  const [playing, setPlaying] = useState(true);
  const [speed, setSpeed] = useState(1);
  useEffect(() => play(recorded, at), []);
  useEffect(() => {
    if (!playing) return undefined;
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      const step = (now - last) * speed;
      last = now;
      setAt((before) => {
        const next = Math.min(length, before + step);
        advance(recorded, before, next);
        if (next >= length) setPlaying(false);
        return next;
      });
    }, 50);
    return () => clearInterval(timer);
  }, [playing, speed]);
  const seek = (/** @type {number} */ to) => {
    play(recorded, to);
    setAt(to);
  };
  return html`<div class="row player" role="group" aria-label="Player">
    <button type="button" class="button primary" id="play" onClick=${() => { if (at >= length) seek(0); setPlaying(!playing); }}>${playing ? "Pause" : "Play"}</button>
    <input type="range" id="seek" aria-label="Position" min="0" max=${length} step="100" value=${at} onInput=${(/** @type {any} */ event) => seek(Number(event.target.value))} />
    <select aria-label="Speed" value=${speed} onChange=${(/** @type {any} */ event) => setSpeed(Number(event.target.value))}>
      ${[0.25, 0.5, 1, 2, 5].map((it) => html`<option key=${it} value=${it}>${it} ×</option>`)}</select>
    <span class="soft">${(at / 1000).toFixed(1)} of ${(length / 1000).toFixed(1)} s</span>
  </div>`;
}

/** Shows the page as it was at a moment. @param {Playback} recorded @param {number} at */
function play(recorded, at) {
  Object.assign(state, empty(), { config: recorded.config, connected: true, started: true });
  advance(recorded, -1, at);
}

/** Applies what came after one moment and until another. @param {Playback} recorded @param {number} from @param {number} to */
function advance(recorded, from, to) {
  setClock(() => recorded.recordedAt + to);
  for (const message of recorded.messages) {
    if (message.at_ms > from && message.at_ms <= to) receive(message.records);
  }
  redraw();
}
