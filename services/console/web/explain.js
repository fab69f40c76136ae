// Each strategy in three sentences, with its real code: as it was compiled into the console.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { get } from "./api.js";
import { state } from "./live.js";
import { Section, useLive } from "./parts.js";

const TOKENS = /(\/\/[^\n]*)|("(?:[^"\\]|\\.)*")|\b(as|async|await|const|else|enum|fn|for|if|impl|let|match|mod|move|mut|pub|return|self|static|struct|use|where|while|true|false|crate)\b/g;

/** Rust with its comments, strings and keywords marked. @param {{code: string}} props */
function Code({ code }) {
  /** @type {any[]} */
  const parts = [];
  let end = 0;
  for (const match of code.matchAll(TOKENS)) {
    parts.push(code.slice(end, match.index));
    const kind = match[1] ? "comment" : match[2] ? "string" : "keyword";
    parts.push(html`<span class="token-${kind}">${match[0]}</span>`);
    end = match.index + match[0].length;
  }
  parts.push(code.slice(end));
  return html`<pre class="code" tabindex="0" role="region" aria-label="Code"><code>${parts}</code></pre>`;
}

/** The Markdown of a sentence: links as their text, code as code. @param {{text: string}} props */
export function Sentence({ text }) {
  const plain = text.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll(/[*_]{1,2}([^*_]+)[*_]{1,2}/g, "$1");
  return html`${plain.split("`").map((part, index) => (index % 2 ? html`<code key=${index}>${part}</code>` : part))}`;
}

/** @param {{value: string}} props  the strategy's name, from the address */
export function Explain({ value }) {
  useLive();
  const strategies = state.config?.strategies ?? [];
  const name = value || strategies[0]?.name;
  const [explained, setExplained] = useState(/** @type {any} */ (null));
  const [error, setError] = useState("");
  useEffect(() => {
    if (!name) return;
    setError("");
    get(`/explain/${name}`).then(({ json }) => setExplained(json), (caught) => setError(caught.message));
  }, [name]);
  return html`<${Section} id="explain" title="Explain"
    lead="What each strategy does, what it guarantees, what it costs, and the file that implements it.">
    <nav class="tabs" aria-label="Strategies">${strategies.map((/** @type {any} */ it) => html`<a key=${it.name} href="#explain=${it.name}" data-strategy=${it.name}
      aria-current=${it.name === name ? "true" : undefined}>${it.number}. ${it.title}</a>`)}</nav>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${explained && html`<article class="explained" data-strategy=${explained.name}>
      <div class="panel">
        <h3>Strategy ${explained.number}: ${explained.title}</h3>
        ${explained.sentences.map((/** @type {string} */ text, /** @type {number} */ index) => html`<p key=${index}>${["", "Guarantee: ", "Cost: "][index] && html`<strong>${["", "Guarantee: ", "Cost: "][index]}</strong>`}<${Sentence} text=${text} /></p>`)}
        <p class="good"><strong>Good for</strong> <${Sentence} text=${explained.good_for ?? "–"} /></p>
        <p class="bad"><strong>Not for</strong> <${Sentence} text=${explained.bad_for ?? "–"} /></p>
        <p><a class="button primary" id="start-tour" href="#tour=${explained.name}&step=1">Start the tour of this strategy</a></p>
        <details><summary>The whole page of the documentation</summary><pre tabindex="0">${explained.page_markdown}</pre></details>
      </div>
      <div class="panel">
        <p class="soft"><code>${explained.file}</code>, as it was compiled into this console</p>
        <${Code} code=${explained.code} />
      </div>
    </article>`}
  <//>`;
}
