// `Cache-Status` (RFC 9211) as a badge: where a response came from.
//
//   product-api; hit; ttl=23; detail=near      near cache: the memory of the process
//   product-api; hit; ttl=23                   Redis
//   product-api; hit; ttl=-4                   Redis, past its soft TTL
//   product-api; fwd=miss; stored              database
//   product-api; fwd=bypass; detail=redis-down the cache was not used

/**
 * Parses the header. Of several caches, the last one is the nearest to the client.
 * @param {string|null} header
 * @returns {{kind: "near"|"redis"|"stale"|"database"|"bypass"|"none", word: string}}
 */
export function source(header) {
  const parts = (header ?? "").split(",").at(-1)?.split(";").map((part) => part.trim()) ?? [];
  const value = (/** @type {string} */ name) => parts.find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1);
  if (parts.includes("hit")) {
    if (Number(value("ttl") ?? 0) < 0) return { kind: "stale", word: "stale copy" };
    return value("detail") === "near" ? { kind: "near", word: "near cache" } : { kind: "redis", word: "Redis" };
  }
  switch (value("fwd")) {
    case "miss": case "uri-miss": case "stale": return { kind: "database", word: parts.includes("collapsed") ? "database, shared load" : "database" };
    case "bypass": return { kind: "bypass", word: `bypass (${value("detail") ?? "unknown"})` };
    default: return { kind: "none", word: "no cache" };
  }
}
