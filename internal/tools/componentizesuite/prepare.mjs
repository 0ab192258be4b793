// Turns the .wat files of wit-component's tests/components into .wasm, with the
// wasm-tools that come with jco, and copies the rest.
//
//   node prepare.mjs NODE_MODULES TESTS/COMPONENTS OUT
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, source, out] = process.argv.slice(2);
const file = pathToFileURL(resolve(modules, "@bytecodealliance/jco-transpile/vendor/wasm-tools.js")).href;
let generation = 0;

// A parse that fails leaves the instance unusable: the next gets another.
async function load() {
  const m = await import(`${file}?${generation++}`);
  await m.$init;
  return m.tools;
}

let tools = await load();
let written = 0;
let failed = 0;
for (const name of readdirSync(source).sort()) {
  const from = join(source, name);
  const to = join(out, name);
  if (!statSync(from).isDirectory()) continue;
  mkdirSync(to, { recursive: true });
  for (const f of readdirSync(from)) {
    if (!f.endsWith(".wat")) {
      cpSync(join(from, f), join(to, f), { recursive: true });
      continue;
    }
    const text = readFileSync(join(from, f), "utf8");
    if (f !== "component.wat") {
      // What the tests read from comments.
      const module = text.match(/^;; module name: (.*)$/m);
      if (module) writeFileSync(join(to, f.replace(/\.wat$/, ".name")), module[1].trim());
      const config = [...text.matchAll(/^;;!(.*)$/gm)].map((m) => m[1].trim()).join("\n");
      if (config) writeFileSync(join(to, "config.toml"), config);
    }
    try {
      writeFileSync(join(to, f.replace(/\.wat$/, ".wasm")), tools.parse(text));
      written++;
    } catch (e) {
      failed++;
      console.log(`${name}/${f}: ${String(e?.payload ?? e?.message ?? e).split("\n")[0]}`);
      tools = await load();
    }
  }
}
console.log(`${written} files written, ${failed} failed`);
