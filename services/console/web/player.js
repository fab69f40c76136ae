// The player of a recording: it applies the recorded messages, and sets the page's clock to their time.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { receive, redraw, setClock, state } from "./live.js";
import { empty } from "./store.js";

/** @typedef {import("./playback.js").Playback} Playback */

const SPEEDS = [0.25, 0.5, 1, 2, 5];

/** A position in a recording. */
class Position {
  /** @param {Playback} recorded */
  constructor(recorded) {
    this.recorded = recorded;
    this.length = recorded.messages.at(-1)?.at_ms ?? 0;
    this.at = 0;
    this.next = 0;
    setClock(() => recorded.recordedAt + this.at);
    this.rewind();
    this.moveTo(0);
  }

  rewind() {
    this.next = 0;
    Object.assign(state, empty(), { config: this.recorded.config, connected: true, started: true });
  }

  /** Shows the page as it was at a moment, in ms since the beginning. @param {number} to */
  moveTo(to) {
    // The state cannot be undone, so a step back applies everything from the beginning again.
    if (to < this.at) this.rewind();
    const { messages } = this.recorded;
    for (; this.next < messages.length && messages[this.next].at_ms <= to; this.next += 1) {
      // The clock must have the message's time: the first message sets the offset of the console's clock.
      this.at = messages[this.next].at_ms;
      receive(messages[this.next].records);
    }
    this.at = to;
    redraw();
  }
}

/** `0:07`. @param {number} ms */
const minutes = (ms) => `${Math.floor(ms / 60_000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}`;

/** Moves the position with the frames while `playing`. @param {Position} position @param {boolean} playing @param {number} speed @param {(at: number) => void} show */
function useFilm(position, playing, speed, show) {
  useEffect(() => {
    if (!playing) return undefined;
    let [last, frame] = [performance.now(), 0];
    const step = (/** @type {number} */ time) => {
      position.moveTo(Math.min(position.length, position.at + Math.max(0, time - last) * speed));
      last = time;
      show(position.at);
      if (position.at < position.length) frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [playing, speed]);
}

/** @param {{recorded: Playback}} props */
export function Player({ recorded }) {
  const kept = useRef(/** @type {Position|null} */ (null));
  kept.current ??= new Position(recorded);
  const position = kept.current;
  const [at, setAt] = useState(0);
  const [wanted, setWanted] = useState(() => !matchMedia("(prefers-reduced-motion: reduce)").matches);
  const [speed, setSpeed] = useState(1);
  const playing = wanted && at < position.length;
  useFilm(position, playing, speed, setAt);
  const seek = (/** @type {number} */ to) => {
    position.moveTo(to);
    setAt(to);
  };
  const toggle = () => {
    if (at >= position.length) seek(0);
    setWanted(!playing);
  };
  return html`<div class="player" role="group" aria-label="Player of the recording">
    <button type="button" class="button primary" id="play" data-playing=${String(playing)} onClick=${toggle}>${playing ? "Pause" : at >= position.length ? "Play again" : "Play"}</button>
    <input type="range" id="seek" aria-label="Position in the recording" aria-valuetext="${minutes(at)} of ${minutes(position.length)}" min="0" max=${position.length} step="100" value=${at}
      onInput=${(/** @type {any} */ event) => seek(Number(event.target.value))} />
    <span class="player-time" id="player-time">${minutes(at)} / ${minutes(position.length)}</span>
    <select id="speed" aria-label="Speed" value=${speed} onChange=${(/** @type {any} */ event) => setSpeed(Number(event.target.value))}>
      ${SPEEDS.map((it) => html`<option key=${it} value=${it}>${it} ×</option>`)}</select>
    <span class="player-label">Recording of ${new Date(recorded.recordedAt).toISOString().slice(0, 19).replace("T", " ")} UTC</span>
  </div>`;
}
