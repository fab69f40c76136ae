// The log of the checker (`checker verify --log`): keys.csv, reads.csv and writes.csv.

/**
 * @typedef {{kind: "read"|"write", begin: number, end: number, session: string, version: number|null, floor: number|null,
 *   source: string, fault: string, acknowledged: boolean}} Operation  times in ns of the run's clock
 * @typedef {{key: string, id: string, subject: string, violations: number, operations: number}} KeyInfo
 * @typedef {{keys: KeyInfo[], byKey: Map<string, Operation[]>, cut: boolean}} Log
 */

/** Lines that are read of each file. A log can have millions. */
export const MOST_LINES = 400_000;

/** The fields of each line; a field in quotation marks may contain commas. @param {string} text @returns {string[][]} */
export function rows(text) {
  const lines = text.split("\n", MOST_LINES + 2).slice(1).filter((line) => line !== "");
  return lines.map((line) => (line.includes('"') ? (line.match(/("([^"]|"")*"|[^,]*)(,|$)/g) ?? []).map(unquoted) : line.split(",")));
}

/** @param {string} field */
const unquoted = (field) => field.replace(/,$/, "").replace(/^"|"$/g, "").replaceAll('""', '"');

/** @param {string} text */
const number = (text) => (text === "" || text === undefined ? null : Number(text));

/**
 * @param {{keys: string, reads: string, writes: string}} files the texts of the three files
 * @returns {Log}
 */
export function parse({ keys, reads, writes }) {
  /** @type {Map<string, Operation[]>} */
  const byKey = new Map();
  const add = (/** @type {string} */ key, /** @type {Operation} */ operation) => {
    const known = byKey.get(key);
    if (known) known.push(operation);
    else byKey.set(key, [operation]);
  };
  for (const [begin, end, key, session, , , source, , , , version, floor, , fault] of rows(reads)) {
    add(key, { kind: "read", begin: Number(begin), end: Number(end), session, source, fault: fault ?? "", version: number(version), floor: number(floor), acknowledged: true });
  }
  for (const [begin, end, key, session, , source, , version, acknowledged] of rows(writes)) {
    add(key, { kind: "write", begin: Number(begin), end: Number(end), session, source, fault: "", version: number(version), floor: null, acknowledged: acknowledged === "yes" });
  }
  const known = rows(keys).map(([key, id, subject]) => {
    const operations = byKey.get(key) ?? [];
    return { key, id, subject, operations: operations.length, violations: operations.filter((it) => it.fault !== "").length };
  });
  known.sort((one, other) => other.violations - one.violations || other.operations - one.operations);
  for (const operations of byKey.values()) operations.sort((one, other) => one.begin - other.begin);
  return { keys: known.filter((it) => it.operations > 0), byKey, cut: reads.split("\n", MOST_LINES + 2).length > MOST_LINES + 1 };
}

/**
 * The highest version that was acknowledged, from each moment on: what a read that begins later must show.
 * @param {Operation[]} operations
 * @returns {{at: number, version: number}[]}
 */
export function floors(operations) {
  const writes = operations.filter((it) => it.kind === "write" && it.acknowledged && it.version !== null);
  writes.sort((one, other) => one.end - other.end);
  /** @type {{at: number, version: number}[]} */
  const steps = [];
  for (const { end, version } of writes) {
    if (version !== null && version > (steps.at(-1)?.version ?? 0)) steps.push({ at: end, version });
  }
  return steps;
}
