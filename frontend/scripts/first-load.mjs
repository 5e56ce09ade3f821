// What a first visit loads of JavaScript, gzipped: the entry and all that it imports outright.
import { readFileSync, rmSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT_KIB = 200;
const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));

rmSync(new URL(".vite", dist), { recursive: true }); // it is ours to read, not the visitors'

const chunks = new Set();
const visit = (name) => {
  if (!chunks.has(name)) {
    chunks.add(name);
    manifest[name].imports?.forEach(visit);
  }
};
visit("index.html");

const files = [...chunks].map((name) => manifest[name].file);
const bytes = [...files, "theme.js"]
  .map((file) => gzipSync(readFileSync(new URL(file, dist))).length)
  .reduce((sum, size) => sum + size, 0);
const kib = (bytes / 1024).toFixed(1);
console.log(`First load: ${kib} KiB of JavaScript, gzipped, in ${files.length + 1} files`);
if (bytes > LIMIT_KIB * 1024) {
  console.error(`It may be ${LIMIT_KIB} KiB: make a route lazy, or do without a library.`);
  process.exit(1);
}
