// The page: its navigation, its banner, and the view that the address names (`#board`, `#explain=tags`, `#tour=events&step=3`).
import { html, render, useEffect, useState } from "./vendor/htm-preact.js";
import { get } from "./api.js";
import { connect, redraw, state } from "./live.js";
import { useLive } from "./parts.js";
import { Board } from "./board.js";
import { Explain } from "./explain.js";
import { Faults } from "./faults.js";
import { History } from "./history.js";
import { Keyspace } from "./keyspace.js";
import { Load } from "./load.js";
import { Plots } from "./plots.js";
import { RecordButton, playback } from "./recording.js";
import { Shop } from "./shop.js";
import { Timeline } from "./timeline.js";
import { Tour } from "./tour.js";

const VIEWS = [
  { id: "board", title: "Board", view: Board },
  { id: "timeline", title: "Timeline", view: Timeline },
  { id: "plots", title: "Plots", view: Plots },
  { id: "faults", title: "Faults", view: Faults },
  { id: "load", title: "Load", view: Load },
  { id: "keyspace", title: "Keyspace", view: Keyspace },
  { id: "shop", title: "Shop", view: Shop },
  { id: "explain", title: "Explain", view: Explain },
  { id: "history", title: "History", view: History },
];

/** The address: `{view, value, ...}`. */
function address() {
  const fields = new URLSearchParams(location.hash.slice(1) || "board");
  const [view] = fields.keys();
  return { view, value: fields.get(view) ?? "", fields };
}

/** The failing checks, each with the processes that report it: one line instead of one for each process. @param {import("./store.js").Service[]} services @returns {[string, string[]][]} */
function byCheck(services) {
  /** @type {Map<string, string[]>} */
  const checks = new Map();
  for (const { name, failing } of services) {
    for (const check of failing) checks.set(check, [...(checks.get(check) ?? []), name]);
  }
  return [...checks];
}

function Banner() {
  useLive();
  if (playback) return html`<p class="banner" role="status">This is a recording of ${new Date(playback.recordedAt).toUTCString()}. Nothing in it is live. It sends no requests, so actions are disabled.</p>`;
  if (!state.connected && state.started) {
    return html`<p class="banner" role="status">The console does not answer. The page reconnects by itself. Start it with <code>make up</code>.</p>`;
  }
  const away = [...state.services.values()].filter((service) => !service.up);
  const failing = [...state.services.values()].filter((service) => service.up && service.failing.length > 0);
  if (away.length === 0 && failing.length === 0) return null;
  return html`<div class="banner" role="status">
    ${away.map((it) => html`<p key=${it.name}><strong>${it.name}</strong> does not answer: ${it.detail}. <code>make up</code> starts it, <code>make logs s=${it.name.replace(/-2$/, "")}</code> shows why it stopped.</p>`)}
    ${byCheck(failing).map(([check, names]) => html`<p key=${check}><strong>Degraded: ${check}</strong> (${names.join(", ")})</p>`)}
  </div>`;
}

function Theme() {
  const [theme, setTheme] = useState(() => localStorage.getItem("theme") ?? "");
  useEffect(() => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    localStorage.setItem("theme", theme);
    redraw();
  }, [theme]);
  const isDark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  return html`<button type="button" class="button quiet" id="theme"
    onClick=${() => setTheme(isDark ? "light" : "dark")}>${isDark ? "Light mode" : "Dark mode"}</button>`;
}

function App() {
  const [at, setAt] = useState(address);
  useEffect(() => {
    const moved = () => setAt(address());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  const isTour = at.view === "tour";
  // A step of a tour names the view beneath it; without a name, it is the board.
  const chosen = VIEWS.find((it) => it.id === (isTour ? at.fields.get("view") : at.view)) ?? VIEWS[0];
  return html`
    <a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to the content</a>
    <header class="top">
      <a class="brand" href="#board"><img src="/assets/icon.svg" alt="" width="24" height="24" /> Seven caches, live</a>
      <nav aria-label="Views">
        ${VIEWS.map(({ id, title }) => html`<a key=${id} href="#${id}" aria-current=${id === chosen.id ? "page" : undefined}>${title}</a>`)}
      </nav>
      <div class="tools"><${RecordButton} /><${Theme} /></div>
    </header>
    <${Banner} />
    <main id="main" tabindex="-1">
      <${chosen.view} value=${isTour ? "" : at.value} fields=${at.fields} />
    </main>
    ${isTour && html`<${Tour} strategy=${at.value} step=${Number(at.fields.get("step") ?? 1)} />`}
  `;
}

async function start() {
  if (playback) {
    state.config = playback.config;
  } else {
    connect();
    for (;;) {
      try {
        state.config = (await get("/config.json")).json;
        break;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  }
  const root = /** @type {HTMLElement} */ (document.getElementById("app"));
  root.replaceChildren();
  render(html`<${App} />`, root);
}

start();
