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
  const files = await Promise.all(
    result.outputFiles.map(async ({ path, contents }) => ({ name: basename(path), bytes: await squeeze(path, contents) })),
  );
  const needs = Object.entries(result.metafile.outputs).map(([path, output]) => {
    const fixed = output.imports.filter((one) => one.kind === "import-statement");
    return [basename(path), fixed.map((one) => basename(one.path))];
  });
  return { files, needs: Object.fromEntries(needs) };
}

/** A script with everything that it imports from the start, each once. */
function closure(name, needs, into = new Set()) {
  if (into.has(name)) return into;
  into.add(name);
  for (const one of needs[name] ?? []) closure(one, needs, into);
  return into;
}

/** A second pass over the script: it takes a twentieth off what the bundler made. */
async function squeeze(path, contents) {
  if (!path.endsWith(".js")) return Buffer.from(contents);
  const { minify } = await import("terser");
  const { code } = await minify(Buffer.from(contents).toString(), {
    module: true,
    // Reading a signal is an effect, so that reads are kept: no `pure_getters`.
    compress: { passes: 2, ecma: 2020 },
    format: { ascii_only: true, comments: false },
  });
  return Buffer.from(code);
}

function hashed(name, bytes) {
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 10);
  return `assets/${name.replace(/\.(\w+)$/, `-${hash}.$1`)}`;
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
  // The chunks have a hash already: it is what their importers call them by.
  const path = name in needs && !/^(app|style)\./.test(name) ? `assets/${name}` : hashed(name, bytes);
  names[name] = path;
  sizes[name] = await put(path, bytes);
}
const first = closure("app.js", needs);
// What the first script imports is fetched beside it, not after it.
const preloads = [...first].filter((name) => name !== "app.js").map((name) => `<link rel="modulepreload" href="/ui/${names[name]}">`);
const template = await readFile(join(here, "index.html"), "utf8");
const html = template
  .replace("{{script}}", names["app.js"])
  .replace("{{style}}", names["style.css"])
  .replace("{{icon}}", names["icon.svg"])
  .replace("</head>", `${preloads.join("")}</head>`);
const page = await put("index.html", Buffer.from(html));
const sum = (scripts) => [...scripts].reduce((total, name) => total + sizes[name], page + sizes["style.css"] + sizes["icon.svg"]);
const visits = Object.keys(needs).filter((name) => name.endsWith(".js")).map((name) => sum(new Set([...first, ...closure(name, needs)])));
const heaviest = Math.max(...visits);
if (heaviest > BUDGET) fail(`a visit loads ${heaviest} bytes gzip, its budget is ${BUDGET}`);
console.log(`web: ${sum(first)} bytes gzip at first, ${heaviest} with the heaviest page, ${sum(Object.keys(sizes).filter((name) => name.endsWith(".js")))} with all, in ${out}`);
