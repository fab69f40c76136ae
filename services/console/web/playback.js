// The recording in this file, if the page is a recording: then every answer comes from it, and no request is sent.

/**
 * @typedef {{at_ms: number, records: any[]}} Message  at_ms: since the recording began
 * @typedef {{recordedAt: number, config: any, messages: Message[], answers: Record<string, string>}} Playback
 *   recordedAt: the browser's clock, in ms since 1970; answers: the bodies of GET requests, by path
 */

/** @type {Playback|null} */
export const playback = (() => {
  const element = document.getElementById("recording");
  return element ? JSON.parse(element.textContent ?? "null") : null;
})();

/** Why an action is disabled in a recording. */
export const DISABLED = "A recording sends no requests, so this action is disabled.";

/** Returns the body that the recording has for a GET request, if it has one. @param {string} path @returns {string|undefined} */
export const recordedAnswer = (path) => playback?.answers[path];

/** Reads a text file of the page. @param {string} path @returns {Promise<string>} */
export async function textOf(path) {
  if (playback) {
    const text = recordedAnswer(path);
    if (text === undefined) throw new Error(`This recording does not contain ${path}.`);
    return text;
  }
  const response = await fetch(path);
  if (!response.ok) throw new Error(`The console cannot read ${path}: the status is ${response.status}.`);
  return response.text();
}
