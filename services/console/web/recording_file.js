// Makes the file of a recording: one HTML page that plays offline.
//
// The file contains the page's own modules and styles. An import map gives each module the address of its text, so the
// modules need no bundler, and no request is sent.
import { textOf } from "./playback.js";

/** @typedef {import("./playback.js").Playback} Playback */

const ICON = "/assets/icon.svg";
const IMPORTED = /\b(from|import) "(\.\/[^"]+)"/g;

/** @param {string} name as a module imports it @param {string} path of that module */
const resolved = (name, path) => new URL(name, new URL(path, "http://page")).pathname;

/** Reads a module and all that it imports. @param {string} path @param {Map<string, string>} known */
async function readModules(path, known) {
  if (known.has(path)) return;
  const text = await textOf(path);
  known.set(path, text);
  for (const [, , name] of text.matchAll(IMPORTED)) await readModules(resolved(name, path), known);
}

/** The import map of the modules: a relative import in a `data:` URL has no base, so each becomes `page:/assets/…`.
 * @param {Map<string, string>} known @param {string} icon */
function importMap(known, icon) {
  /** @type {Record<string, string>} */
  const imports = {};
  for (const [path, text] of known) {
    const absolute = text
      .replaceAll(IMPORTED, (_, keyword, name) => `${keyword} "page:${resolved(name, path)}"`)
      .replaceAll(`"${ICON}"`, `"${icon}"`);
    imports[`page:${path}`] = `data:text/javascript,${encodeURIComponent(absolute)}`;
  }
  return { imports };
}

/** The bodies of the GET requests that views make, so that Explain, Faults, the tour and the history work offline.
 * @param {any} config @returns {Promise<Record<string, string>>} */
export async function recordAnswers(config) {
  const explained = config.strategies.map((/** @type {{name: string}} */ { name }) => `/explain/${name}`);
  const sample = ["keys", "reads", "writes"].map((name) => `/assets/sample/${name}.csv`);
  const paths = ["/assets/tour.json", "/faults", ...explained, ...sample];
  return Object.fromEntries(await Promise.all(paths.map(async (path) => [path, await textOf(path)])));
}

/** JSON that may stand in a script element. @param {unknown} value */
const inScript = (value) => JSON.stringify(value).replaceAll("<", "\\u003c");

/** @param {Playback} recorded @returns {Promise<string>} */
export async function makeFile(recorded) {
  /** @type {Map<string, string>} */
  const known = new Map();
  await readModules("/assets/app.js", known);
  const links = [...document.querySelectorAll("link[rel=stylesheet]")].map((link) => textOf(link.getAttribute("href") ?? ""));
  const styles = (await Promise.all(links)).join("\n").replaceAll("</", "<\\/");
  const plots = (await textOf("/assets/vendor/uplot.js")).replaceAll("</script", "<\\/script");
  const icon = `data:image/svg+xml,${encodeURIComponent(await textOf(ICON))}`;
  return [
    '<!doctype html><html lang="en" data-recording><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">',
    `<title>Recording of the console, ${new Date(recorded.recordedAt).toISOString()}</title>`,
    `<link rel="icon" href="${icon}"><style>${styles}</style>`,
    `<script type="application/json" id="recording">${inScript(recorded)}</script>`,
    `<script type="importmap">${inScript(importMap(known, icon))}</script>`,
    `<script>${plots}</script></head><body><div id="app"></div>`,
    '<script type="module">import "page:/assets/app.js";</script></body></html>',
  ].join("\n");
}
