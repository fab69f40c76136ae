// Requests to the console and, through its gateway, to the services.
import { playback, recordedAnswer } from "./playback.js";

/** A request that was answered with a problem, or not at all. */
export class Refused extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Sends a request, and returns its JSON.
 * @param {string} method @param {string} path @param {unknown} [body] @param {Record<string, string>} [headers]
 * @returns {Promise<{status: number, json: any, headers: Headers, ms: number}>}
 */
export async function send(method, path, body, headers = {}) {
  if (playback) return answerOffline(method, path);
  const began = performance.now();
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refused(0, "The console does not answer.");
  }
  const text = await response.text();
  const ms = performance.now() - began;
  /** @type {any} */
  let json = null;
  try {
    json = text ? JSON.parse(text) : null;
  } catch {
    // Not JSON: the status says enough.
  }
  if (!response.ok) throw new Refused(response.status, json?.detail ?? `The answer is ${response.status}.`);
  return { status: response.status, json, headers: response.headers, ms };
}

/** Answers from the recording that the page plays. @param {string} method @param {string} path */
function answerOffline(method, path) {
  const text = method === "GET" ? recordedAnswer(path) : undefined;
  if (text === undefined) throw new Refused(0, "The recording has no answer to this request, and sends none.");
  return { status: 200, json: JSON.parse(text), headers: new Headers(), ms: 0 };
}

/** @param {string} path @param {Record<string, string>} [headers] */
export const get = (path, headers) => send("GET", path, undefined, headers);
/** @param {string} path @param {unknown} body */
export const post = (path, body) => send("POST", path, body);
/** @param {string} path @param {unknown} body */
export const put = (path, body) => send("PUT", path, body);
/** @param {string} path */
export const del = (path) => send("DELETE", path);
