// Each strategy in three sentences, with its real code: as it was compiled into the console.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { get } from "./api.js";
import { rustLines } from "./explain_code.js";
import { state } from "./live.js";
import { Section, useLive } from "./parts.js";

const LABELS = ["", "Guarantee", "Cost"];

/** A link of the documentation to another strategy, by the name of its page. @param {string} target */
const strategyOf = (target) => target.match(/^\d-([a-z]+)\.md$/)?.[1];

/** @param {{text: string, target: string}} props */
function Link({ text, target }) {
  const strategy = strategyOf(target);
  // Files of the repository have no address on this page.
  return strategy ? html`<a href="#explain=${strategy}">${text}</a>` : html`${text}`;
}

/** The Markdown of a paragraph: links to strategies, code and emphasis. @param {{text: string}} props */
export function Sentence({ text }) {
  const parts = text.split(/(`[^`]+`|\[[^\]]*\]\([^)]*\)|\*[^*]+\*)/);
  return html`${parts.map((part, index) => {
    const link = part.match(/^\[(.*)\]\((.*)\)$/);
    if (link) return html`<${Link} key=${index} text=${link[1].replaceAll("`", "")} target=${link[2]} />`;
    if (part.length > 2 && part.startsWith("`")) return html`<code key=${index}>${part.slice(1, -1)}</code>`;
    if (part.length > 2 && part.startsWith("*")) return html`<em key=${index}>${part.slice(1, -1)}</em>`;
    return part;
  })}`;
}

/** @param {{code: string, file: string}} props */
function Code({ code, file }) {
  return html`<pre class="code" tabindex="0" role="region" aria-label="Code of ${file}"><code>${rustLines(code).map((parts, index) =>
    html`<span class="line-number" aria-hidden="true" data-line=${index + 1}></span>${parts.map(({ kind, text }) =>
      (kind ? html`<span class="token-${kind}">${text}</span>` : text))}${"\n"}`)}</code></pre>`;
}

/** @param {{explained: any}} props */
function Facts({ explained }) {
  return html`<div class="panel explained-text">
    <h3>Strategy ${explained.number}: ${explained.title}</h3>
    ${explained.sentences.map((/** @type {string} */ text, /** @type {number} */ index) => html`<p key=${index} class=${index === 0 ? "explained-first" : ""}>
      ${LABELS[index] && html`<strong>${LABELS[index]}. </strong>`}<${Sentence} text=${text} /></p>`)}
    <dl class="purpose">
      ${explained.good_for && html`<div class="good"><dt><span aria-hidden="true">✓</span> Good for</dt><dd><${Sentence} text=${explained.good_for} /></dd></div>`}
      ${explained.bad_for && html`<div class="bad"><dt><span aria-hidden="true">✕</span> Not for</dt><dd><${Sentence} text=${explained.bad_for} /></dd></div>`}
    </dl>
    <p class="row"><a class="button primary" id="start-tour" href="#tour=${explained.name}&step=1">Start the tour</a>
      <span class="soft">Seven steps on the live board.</span>
      ${explained.link && html`<a href=${explained.link} rel="noreferrer">Page in the repository</a>`}</p>
    <details><summary>The whole page of the documentation</summary><pre tabindex="0" class="markdown">${explained.page_markdown}</pre></details>
  </div>`;
}

/** The explanation of a strategy, or why there is none. @param {string|undefined} name */
function useExplained(name) {
  const [explained, setExplained] = useState(/** @type {any} */ (null));
  const [error, setError] = useState("");
  useEffect(() => {
    if (!name) return undefined;
    // The answer for an earlier strategy may arrive after that for a later one.
    let isCurrent = true;
    setError("");
    get(`/explain/${encodeURIComponent(name)}`).then(
      ({ json }) => isCurrent && setExplained(json),
      (caught) => isCurrent && setError(caught.message),
    );
    return () => { isCurrent = false; };
  }, [name]);
  return { explained: explained?.name === name ? explained : null, error };
}

/** @param {{value: string}} props  the strategy's name, from the address */
export function Explain({ value }) {
  useLive();
  const strategies = state.config?.strategies ?? [];
  const name = value || strategies[0]?.name;
  const { explained, error } = useExplained(name);
  return html`<${Section} id="explain" title="Explain"
    lead="What each strategy does, what it guarantees, what it costs, and the code that implements it.">
    <nav class="tabs" aria-label="Strategies">${strategies.map((/** @type {any} */ it) => html`<a key=${it.name} href="#explain=${it.name}" data-strategy=${it.name}
      aria-current=${it.name === name ? "true" : undefined}>${it.number}. ${it.title}</a>`)}</nav>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${explained && html`<article class="explained" data-strategy=${explained.name}>
      <${Facts} explained=${explained} />
      <div class="panel">
        <p class="code-label"><code>${explained.file}</code><span class="soft">The code as it was compiled into this console.</span></p>
        <${Code} code=${explained.code} file=${explained.file} />
      </div>
    </article>`}
  <//>`;
}
