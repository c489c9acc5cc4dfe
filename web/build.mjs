/**
 * Bundles the page: `node build.mjs DIRECTORY`.
 *
 * Writes `index.html` and `assets/` with hashed names, and beside each file its
 * `.br` and `.gz`, so that the agent never compresses anything. Installs the few
 * packages it needs when they are missing or of another version than pinned. Fails
 * when the whole grows beyond its budget.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

/** Bytes, gzip, of everything that a visit of the heaviest page loads. */
const BUDGET = 90 * 1024;

const here = dirname(fileURLToPath(import.meta.url));
const wanted = process.argv[2];
if (!wanted) {
  console.error("usage: node build.mjs DIRECTORY");
  process.exit(2);
}
const out = resolve(wanted);

async function missingPackages() {
  const { dependencies } = JSON.parse(await readFile(join(here, "package.json"), "utf8"));
  const missing = [];
  for (const [name, version] of Object.entries(dependencies)) {
    const file = join(here, "node_modules", name, "package.json");
    const installed = existsSync(file) ? JSON.parse(await readFile(file, "utf8")).version : undefined;
    if (installed !== version) missing.push(`${name} ${version}`);
  }
  return missing;
}

async function install() {
  const missing = await missingPackages();
  if (missing.length === 0) return;
  // Without install scripts: none of the packages needs one, and a build should run no foreign code early.
  const npm = spawnSync("npm", ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: here,
    stdio: ["ignore", process.stderr, process.stderr],
  });
  if (npm.error?.code === "ENOENT") fail("npm was not found; it comes with node");
  if (npm.status !== 0) fail(`npm ci failed (status ${npm.status}); it was to install ${missing.join(", ")}`);
}

function fail(message) {
  console.error(`web: ${message}`);
  process.exit(1);
}

async function bundle() {
  const { build } = await import("esbuild");
  const result = await build({
    absWorkingDir: here,
    entryPoints: { app: "src/main.tsx", style: "src/style/index.css" },
    bundle: true,
    minify: true,
    format: "esm",
    // Pages that are seldom opened are loaded when they are: see `src/pages/index.ts`.
    splitting: true,
    chunkNames: "[name]-[hash]",
    metafile: true,
    target: ["es2022", "chrome116", "firefox124", "safari17.4"],
    jsx: "automatic",
    jsxImportSource: "preact",
    charset: "ascii",
    legalComments: "none",
    define: { "process.env.NODE_ENV": '"production"' },
    outdir: "out",
    write: false,
    logLevel: "warning",
  });
  const texts = {};
  const others = [];
  for (const { path, contents, text } of result.outputFiles) {
    if (path.endsWith(".js")) texts[basename(path)] = text;
    else others.push({ name: basename(path), bytes: Buffer.from(contents) });
  }
  const imports = {};
  for (const [path, output] of Object.entries(result.metafile.outputs)) {
    if (!path.endsWith(".js")) continue;
    const fixed = output.imports.filter((one) => one.kind === "import-statement");
    imports[basename(path)] = fixed.map((one) => basename(one.path));
  }
  const { scripts, needs } = await joined(build, texts, imports);
  const squeezed = Object.entries(scripts).map(async ([name, text]) => ({ name, bytes: await squeeze(text) }));
  return { files: [...others, ...(await Promise.all(squeezed))], needs };
}

/** `import{a as b}from"./chunk.js"` and `import"./chunk.js"`, as the bundler writes them. */
const IMPORT = /import(?:\{([^}]*)\}from)?"\.\/([\w-]+\.js)";/g;

/**
 * What the first script imports from the start becomes one script with it: a browser fetches
 * one file sooner than two dozen, and it is smaller. Whatever comes later imports from there
 * what it imported from those chunks; each name is told apart by the number of its chunk.
 */
async function joined(build, texts, imports) {
  const first = [...closure("app.js", imports)];
  const wanted = new Set();
  const scripts = {};
  const needs = { "app.js": [] };
  for (const [name, text] of Object.entries(texts)) {
    if (first.includes(name)) continue;
    scripts[name] = text.replace(IMPORT, (whole, list, from) => {
      const number = first.indexOf(from);
      if (number < 0) return whole;
      if (list === undefined) return "";
      const renamed = list.split(",").map((one) => {
        const [exported, local = exported] = one.split(" as ");
        wanted.add(`export { ${exported} as c${number}_${exported} } from "./${from}";`);
        return `c${number}_${exported} as ${local}`;
      });
      return `import{${renamed.join(",")}}from"./app.js";`;
    });
    needs[name] = ["app.js", ...imports[name].filter((one) => !first.includes(one))];
  }
  const result = await build({
    stdin: { contents: ['import "./app.js";', ...wanted].join("\n"), resolveDir: here },
    bundle: true,
    minify: true,
    format: "esm",
    charset: "ascii",
    legalComments: "none",
    write: false,
    logLevel: "warning",
    plugins: [
      {
        name: "chunks",
        setup({ onResolve, onLoad }) {
          onResolve({ filter: /^\.\// }, ({ path, kind }) =>
            kind === "dynamic-import" ? { path, external: true } : { path: basename(path), namespace: "chunks" },
          );
          onLoad({ filter: /./, namespace: "chunks" }, ({ path }) => ({ contents: texts[path], loader: "js" }));
        },
      },
    ],
  });
  scripts["app.js"] = result.outputFiles[0].text;
  // All of one build have its hash: each names another, so none can have one of its own.
  const hash = digest(Object.entries(texts).sort().join());
  const named = (name) => name.replace(/\.js$/, `-${hash}.js`);
  const rename = (text) => text.replace(/"\.\/([\w-]+\.js)"/g, (whole, name) => (name in scripts ? `"./${named(name)}"` : whole));
  return {
    scripts: Object.fromEntries(Object.entries(scripts).map(([name, text]) => [named(name), rename(text)])),
    needs: Object.fromEntries(Object.entries(needs).map(([name, list]) => [named(name), list.map(named)])),
  };
}

/** A script with everything that it imports from the start, each once. */
function closure(name, needs, into = new Set()) {
  if (into.has(name)) return into;
  into.add(name);
  for (const one of needs[name] ?? []) closure(one, needs, into);
  return into;
}

/** A second pass over the script: it takes a twentieth off what the bundler made. */
async function squeeze(text) {
  const { minify } = await import("terser");
  const { code } = await minify(text, {
    module: true,
    // Reading a signal is an effect, so that reads are kept: no `pure_getters`.
    compress: { passes: 2, ecma: 2020 },
    format: { ascii_only: true, comments: false },
  });
  return Buffer.from(code);
}

function digest(bytes) {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 10);
}

/** Writes a file and its compressed forms; returns the length of the gzip form. */
async function put(path, bytes) {
  const file = join(out, path);
  await mkdir(dirname(file), { recursive: true });
  const gzip = gzipSync(bytes, { level: 9 });
  const brotli = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  await Promise.all([writeFile(file, bytes), writeFile(`${file}.gz`, gzip), writeFile(`${file}.br`, brotli)]);
  return gzip.length;
}

await install();
const { files, needs } = await bundle();
files.push({ name: "icon.svg", bytes: await readFile(join(here, "static/icon.svg")) });
await rm(out, { recursive: true, force: true });
const names = {};
const sizes = {};
for (const { name, bytes } of files) {
  // Scripts have their hash already: it is what their importers call them by.
  const path = `assets/${name in needs ? name : name.replace(/\.(\w+)$/, `-${digest(bytes)}.$1`)}`;
  names[name] = path;
  sizes[name] = await put(path, bytes);
}
const script = Object.keys(needs).find((name) => name.startsWith("app-"));
const template = await readFile(join(here, "index.html"), "utf8");
const html = template
  .replace("{{script}}", names[script])
  .replace("{{style}}", names["style.css"])
  .replace("{{icon}}", names["icon.svg"]);
const page = await put("index.html", Buffer.from(html));
const sum = (scripts) => [...scripts].reduce((total, name) => total + sizes[name], page + sizes["style.css"] + sizes["icon.svg"]);
const visits = Object.keys(needs).map((name) => sum(closure(name, needs)));
const heaviest = Math.max(...visits);
if (heaviest > BUDGET) fail(`a visit loads ${heaviest} bytes gzip, its budget is ${BUDGET}`);
console.log(`web: ${sum([script])} bytes gzip at first, ${heaviest} with the heaviest page, ${sum(Object.keys(sizes).filter((name) => name.endsWith(".js")))} with all, in ${out}`);
