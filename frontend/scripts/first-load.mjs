// Check the size of the first load: the gzipped JavaScript of the entry, the largest page, and their
// static imports.
import { readFileSync, rmSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT_KIB = 200;
const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));

rmSync(new URL(".vite", dist), { recursive: true }); // not for publication

function filesOf(names, found = new Set()) {
  for (const name of names) {
    if (!found.has(manifest[name].file)) {
      found.add(manifest[name].file);
      filesOf(manifest[name].imports ?? [], found);
    }
  }
  return found;
}

const kib = (files) =>
  [...files, "theme.js"]
    .map((file) => gzipSync(readFileSync(new URL(file, dist))).length)
    .reduce((sum, size) => sum + size, 0) / 1024;

const pageSizes = manifest["index.html"].dynamicImports
  .map((page) => [kib(filesOf(["index.html", page])), manifest[page].name])
  .sort(([a], [b]) => b - a);
const [[largest, page]] = pageSizes;
console.log(`First load: at most ${largest.toFixed(1)} KiB of JavaScript, gzipped (${page})`);
if (largest > LIMIT_KIB) {
  console.error(`The limit is ${LIMIT_KIB} KiB: load a part lazily, or remove a library.`);
  process.exit(1);
}
