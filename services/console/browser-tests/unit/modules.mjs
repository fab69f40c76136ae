// The page's modules that import nothing, for tests without a browser.
import { readFile } from "node:fs/promises";

/** Imports a module of the page. Its file has no package.json, so Node cannot know that it is a module. */
export async function load(name) {
  const text = await readFile(new URL(`../../web/${name}`, import.meta.url), "utf8");
  return import(`data:text/javascript,${encodeURIComponent(text)}`);
}
