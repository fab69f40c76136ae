// Recording: collects what /live sends, and downloads it as one HTML file that plays offline.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { now, onRecords, state } from "./live.js";
import { playback } from "./playback.js";
import { Player } from "./player.js";
import { makeFile, recordAnswers } from "./recording_file.js";

export { playback };

/** A recording ends by itself after this time, or at this size. */
const LONGEST_MS = 300_000;
const LARGEST = 8_000_000;

/** The state of the page as records, so that a recording begins with it. @returns {any[]} */
function snapshot() {
  const at_ms = now();
  return [
    { kind: "hello", at_ms, resumed: false },
    ...state.services.values(),
    { kind: "truth", at_ms, rows: state.truth },
    { kind: "board", at_ms, cells: [...state.cells.values()] },
    ...state.changes.flatMap((change) => change.writes),
    ...state.published,
    ...state.feed,
    ...state.reads,
    ...state.figures,
    ...(state.load ? [state.load] : []),
    { kind: "faults", faults: state.faults },
    ...state.tasks.values(),
    ...state.notes,
  ];
}

/** Collects the messages until it is stopped or full. */
class Recorder {
  constructor() {
    this.recordedAt = Date.now();
    /** @type {import("./playback.js").Message[]} */
    this.messages = [];
    this.size = 0;
    /** Why it has stopped by itself. */
    this.full = "";
    this.off = onRecords((records) => this.add(records));
    this.add(snapshot());
  }

  get length() {
    return Date.now() - this.recordedAt;
  }

  /** @param {any[]} records */
  add(records) {
    const at_ms = this.length;
    const size = JSON.stringify(records).length;
    if (at_ms > LONGEST_MS) this.stop(`The recording stopped after ${LONGEST_MS / 60_000} minutes.`);
    else if (this.size + size > LARGEST) this.stop(`The recording stopped at ${LARGEST / 1e6} MB.`);
    else {
      this.size += size;
      this.messages.push({ at_ms, records });
    }
  }

  /** @param {string} why */
  stop(why) {
    this.full = why;
    this.off();
  }

  /** Makes the file. It can be called again if it fails. @returns {Promise<string>} */
  async file() {
    this.off();
    const answers = await recordAnswers(state.config);
    return makeFile({ recordedAt: this.recordedAt, config: state.config, messages: this.messages, answers });
  }
}

/** @param {string} text @param {number} recordedAt */
function download(text, recordedAt) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/html" }));
  link.download = `console-${new Date(recordedAt).toISOString().slice(0, 19).replaceAll(":", "")}.html`;
  link.click();
  // The browser reads the object after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Draws again each second while a recorder runs: its length is on the button. @param {Recorder|null} recorder */
function useSeconds(recorder) {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!recorder) return undefined;
    const timer = setInterval(() => tick((/** @type {number} */ n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [recorder]);
}

/** The button in the header; in a recording, the player. */
export function RecordButton() {
  const [recorder, setRecorder] = useState(/** @type {Recorder|null} */ (null));
  const [error, setError] = useState("");
  useSeconds(recorder);
  if (playback) return html`<${Player} recorded=${playback} />`;
  const stop = async (/** @type {Recorder} */ stopped) => {
    try {
      download(await stopped.file(), stopped.recordedAt);
      setError("");
      setRecorder(null);
    } catch (caught) {
      setError(caught instanceof Error ? caught.message : String(caught));
    }
  };
  if (!recorder) {
    return html`<button type="button" class="button" id="record" title="Records what this page shows, as a file that plays offline"
      onClick=${() => setRecorder(new Recorder())}>Record</button>`;
  }
  const message = error || recorder.full;
  return html`<span class="recording">
    <button type="button" class="button danger" id="stop-recording" onClick=${() => stop(recorder)}>Stop and download
      <span class="recording-size">${Math.floor(recorder.length / 1000)} s, ${(recorder.size / 1e6).toFixed(1)} MB</span></button>
    ${message && html`<span class=${error ? "error" : "soft"} role="status" id="recording-message">${message}</span>`}
  </span>`;
}
