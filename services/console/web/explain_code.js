// Marks the comments, strings and keywords of Rust. It is no parser: it knows what the files of the strategies contain.

/** @typedef {{kind: "comment"|"string"|"keyword"|"", text: string}} Part */

const TOKENS = new RegExp([
  /(?<comment>\/\/[^\n]*)/,
  /(?<string>r#"[^]*?"#|b?"(?:[^"\\]|\\[^])*"|'(?:[^'\\\n]|\\.)')/,
  /\b(?<keyword>as|async|await|const|crate|dyn|else|enum|false|fn|for|if|impl|in|let|loop|match|mod|move|mut|pub|ref|return|self|Self|static|struct|super|trait|true|type|use|where|while)\b/,
].map((it) => it.source).join("|"), "g");

/** @param {string} code @returns {Part[]} */
function parts(code) {
  /** @type {Part[]} */
  const found = [];
  let end = 0;
  for (const match of code.matchAll(TOKENS)) {
    const kind = /** @type {Part["kind"]} */ (Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined)?.[0] ?? "");
    found.push({ kind: "", text: code.slice(end, match.index) }, { kind, text: match[0] });
    end = match.index + match[0].length;
  }
  found.push({ kind: "", text: code.slice(end) });
  return found.filter(({ text }) => text !== "");
}

/** The lines of Rust code, each with its parts. @param {string} code @returns {Part[][]} */
export function rustLines(code) {
  /** @type {Part[][]} */
  const lines = [[]];
  for (const { kind, text } of parts(code.trimEnd())) {
    text.split("\n").forEach((line, index) => {
      if (index > 0) lines.push([]);
      if (line !== "") lines[lines.length - 1].push({ kind, text: line });
    });
  }
  return lines;
}
