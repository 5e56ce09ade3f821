// What a first visit loads of JavaScript, gzipped, whichever page it is of: the entry, the page and
// all that the two import outright.
import { readFileSync, rmSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT_KIB = 200;
const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));

rmSync(new URL(".vite", dist), { recursive: true }); // it is ours to read, not the visitors'

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

const visits = manifest["index.html"].dynamicImports
  .map((page) => [kib(filesOf(["index.html", page])), manifest[page].name])
  .sort(([one], [other]) => other - one);
const [[most, page]] = visits;
console.log(`First load: at most ${most.toFixed(1)} KiB of JavaScript, gzipped (${page})`);
if (most > LIMIT_KIB) {
  console.error(`It may be ${LIMIT_KIB} KiB: make a part lazy, or do without a library.`);
  process.exit(1);
}
