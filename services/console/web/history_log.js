// The log of the checker (`checker verify --log`): keys.csv, reads.csv and writes.csv.
//
// A log can have millions of lines. The first pass counts the operations of each key; another pass keeps those of one key.
// Both read the files in chunks, so memory depends on the number of keys and on the operations of one key.

/**
 * @typedef {{kind: "read"|"write", begin: number, end: number, session: string, version: number|null, floor: number|null,
 *   source: string, fault: string, acknowledged: boolean}} Operation  times in ns of the run's clock
 * @typedef {{key: string, id: string, subject: string, violations: number, operations: number}} KeyInfo
 * @typedef {{keys: Blob, reads: Blob, writes: Blob}} Files
 * @typedef {{files: Files, keys: KeyInfo[], isCut: boolean}} Log  keys: those with violations first
 * @typedef {(fields: string[]) => void} Visit
 */

/** Lines of a file that are read. */
export const MOST_LINES = 2_000_000;
/** Operations of one key that are kept; violations are kept in addition. */
export const MOST_OPERATIONS = 20_000;
const MOST_VIOLATIONS = 1_000;

const COLUMNS = {
  keys: ["key", "id", "subject"],
  reads: ["begin_ns", "end_ns", "key", "session", "source", "version", "floor", "fault"],
  writes: ["begin_ns", "end_ns", "key", "session", "source", "version", "acknowledged"],
};

/** The fields of a line; a field in quotation marks may contain commas. @param {string} line @returns {string[]} */
export function fieldsOf(line) {
  if (!line.includes('"')) return line.split(",");
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain);
}

/** Passes the lines of a file on, until there is no more or `limit` is reached; returns whether it was cut.
 * @param {Blob} file @param {number} limit @param {(line: string) => void} visit @returns {Promise<boolean>} */
export async function eachLine(file, limit, visit) {
  const reader = file.stream().pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
  let [rest, count] = ["", 0];
  for (;;) {
    const { done, value } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : /** @type {string} */ (lines.pop());
    for (const line of lines) {
      if (line === "") continue;
      if (count === limit) {
        await reader.cancel();
        return true;
      }
      count += 1;
      visit(line.endsWith("\r") ? line.slice(0, -1) : line);
    }
    if (done) return false;
  }
}

/** Passes the needed columns of each line on, in the order of COLUMNS. @param {Files} files @param {keyof Files} name @param {Visit} visit */
async function eachRow(files, name, visit) {
  /** @type {number[]|null} */
  let places = null;
  const isCut = await eachLine(files[name], MOST_LINES + 1, (line) => {
    const fields = fieldsOf(line);
    if (places) {
      visit(places.map((place) => fields[place] ?? ""));
      return;
    }
    places = COLUMNS[name].map((column) => fields.indexOf(column));
    const missing = COLUMNS[name].filter((column) => !fields.includes(column));
    if (missing.length > 0) throw new Error(`${name}.csv is no log of the checker: it has no column ${missing.join(", ")}.`);
  });
  return isCut;
}

/** @param {string} text */
const number = (text) => (text === "" ? null : Number(text));

/** Counts the operations and violations of each key. @param {Files} files @returns {Promise<Log>} */
export async function openLog(files) {
  /** @type {Map<string, KeyInfo>} */
  const infos = new Map();
  const info = (/** @type {string} */ key) => {
    const known = infos.get(key) ?? { key, id: "", subject: "", violations: 0, operations: 0 };
    infos.set(key, known);
    return known;
  };
  const cuts = [await eachRow(files, "keys", ([key, id, subject]) => void Object.assign(info(key), { id, subject }))];
  cuts.push(await eachRow(files, "reads", ([, , key, , , , , fault]) => {
    const known = info(key);
    known.operations += 1;
    if (fault) known.violations += 1;
  }));
  /** @type {Map<string, Set<string>>} */
  const made = new Map();
  cuts.push(await eachRow(files, "writes", ([, , key, , , version]) => {
    const known = info(key);
    known.operations += 1;
    if (isLost(made, key, version)) known.violations += 1;
  }));
  const keys = [...infos.values()].filter((it) => it.operations > 0);
  keys.sort((one, other) => other.violations - one.violations || other.operations - one.operations);
  return { files, keys, isCut: cuts.includes(true) };
}

/** Whether an earlier write made the same version: then one of the two was lost. @param {Map<string, Set<string>>} made by key @param {string} key @param {string} version */
function isLost(made, key, version) {
  if (version === "") return false;
  const versions = made.get(key) ?? new Set();
  made.set(key, versions);
  const isKnown = versions.has(version);
  versions.add(version);
  return isKnown;
}

/** The operations of one key, by their begin. @param {Log} log @param {string} wanted @returns {Promise<{operations: Operation[], isCut: boolean}>} */
export async function operationsOf(log, wanted) {
  /** @type {Operation[]} */
  const operations = [];
  let [dropped, violations] = [0, 0];
  const add = (/** @type {Operation} */ operation) => {
    const isKept = operations.length < MOST_OPERATIONS || (operation.fault !== "" && violations < MOST_VIOLATIONS);
    if (operation.fault) violations += 1;
    if (isKept) operations.push(operation);
    else dropped += 1;
  };
  const made = new Map();
  // Writes come first: without them, no floor could be drawn.
  await eachRow(log.files, "writes", ([begin, end, key, session, source, version, acknowledged]) => {
    if (key !== wanted) return;
    const fault = isLost(made, key, version) ? "Lost" : "";
    add({ kind: "write", begin: Number(begin), end: Number(end), session, source, fault, version: number(version), floor: null, acknowledged: acknowledged === "yes" });
  });
  await eachRow(log.files, "reads", ([begin, end, key, session, source, version, floor, fault]) => {
    if (key !== wanted) return;
    add({ kind: "read", begin: Number(begin), end: Number(end), session, source, fault, version: number(version), floor: number(floor), acknowledged: true });
  });
  operations.sort((one, other) => one.begin - other.begin);
  return { operations, isCut: dropped > 0 };
}

/**
 * The highest version that was acknowledged, from each moment on: what a read that begins later must show.
 * @param {Operation[]} operations @returns {{at: number, version: number}[]}
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

/** What is wrong with an operation, in words; empty if nothing is. @param {Operation} operation */
export function remark({ kind, fault, version, floor, acknowledged }) {
  if (fault === "Stale") return `stale: it shows version ${version}, but version ${floor} was acknowledged before it began`;
  if (fault === "Future") return "it shows a version whose write had not begun";
  if (fault === "Torn") return "it shows parts of two writes";
  if (fault === "Backwards") return `it shows version ${version}, which is older than what its session had seen`;
  if (fault === "Lost") return `another write received version ${version} too, so one of the two was lost`;
  if (fault) return fault;
  if (kind === "write" && !acknowledged) return version === null ? "its result is unknown" : "its invalidation was deferred";
  if (kind === "read" && version !== null && floor !== null && version < floor) return `older than version ${floor}, within what the strategy promises`;
  return "";
}
