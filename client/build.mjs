// Builds everything that runs: every TypeScript file to dist/<same path>.js, and the page to dist/client/web/public.
// Types are checked apart from this (npm test).
import { spawnSync } from 'node:child_process';
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const dist = path.join(root, 'dist');
/** What programs import: `latentchat` and `latentchat/browser`. */
const frontDoors = ['index.ts', 'browser.ts'];
const rooms = ['model', 'projector', 'server', 'client', 'test'];
/** The page, its workers, and the decoder as a module for pages of others: `import { LinrDecoder } from '/linr-decoder.js'`. */
const webEntries = ['app', 'decoder-worker', 'latent-map-worker', 'linr-decoder'];

/** All .ts files below `folder`, relative to the repository root. */
async function sources(folder) {
  if (!existsSync(path.join(root, folder))) return [];
  const entries = await readdir(path.join(root, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts'))
    .map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name)));
}

/** Written when everything is built. */
const stamp = path.join(dist, 'built');

/** The page: bundled, with ONNX Runtime's wasm beside it, so that nothing is ever fetched from another host. */
async function buildPage(build) {
  const web = path.join(root, 'client/web');
  const out = path.join(dist, 'client/web/public');
  await mkdir(out, { recursive: true });
  const entryPoints = webEntries.map((name) => path.join(web, `${name}.ts`)).filter((file) => existsSync(file));
  if (entryPoints.length === 0) return;
  await build({
    entryPoints,
    outdir: out,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minify: true,
    sourcemap: true,
    conditions: ['onnxruntime-web-use-extern-wasm'],
    logLevel: 'warning',
  });
  for (const name of await readdir(web)) {
    if (/\.(html|css|svg|png|ico|webmanifest)$/.test(name)) await cp(path.join(web, name), path.join(out, name));
  }
  const ort = path.dirname(createRequire(import.meta.url).resolve('onnxruntime-web'));
  for (const name of await readdir(ort)) {
    if (/^ort-wasm-simd-threaded(\.asyncify)?\.(wasm|mjs)$/.test(name)) await cp(path.join(ort, name), path.join(out, name));
  }
}

/**
 * A package of hundreds of small files as a few, where compiled code finds it before the installed one. Every process and every
 * worker reads them all at its start: as they come, typebox's take half a second.
 */
async function joinPackage(build, name, entries) {
  const out = path.join(dist, 'node_modules', name);
  await build({
    entryPoints: Object.fromEntries(entries.map((entry) => [entry, entry === 'index' ? name : `${name}/${entry}`])),
    outdir: out,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
  });
  const exports = Object.fromEntries(entries.map((entry) => [entry === 'index' ? '.' : `./${entry}`, `./${entry}.mjs`]));
  await writeFile(path.join(out, 'package.json'), JSON.stringify({ name, exports }));
}

export async function buildAll() {
  // Only here: the command line needs no esbuild where nothing has changed, and npm has not installed it where nothing ever was.
  const { build } = await import('esbuild');
  const files = [...frontDoors, ...(await Promise.all(rooms.map(sources))).flat()];
  const entryPoints = files.map((file) => path.join(root, file));
  await build({
    entryPoints,
    outdir: dist,
    outbase: root,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: true,
    logLevel: 'warning',
  });
  await joinPackage(build, 'typebox', ['index', 'value', 'compile']);
  await buildPage(build);
  await writeFile(stamp, '');
}

/** Builds unless the last build is newer than every source but the tests'. */
export async function buildIfStale() {
  if (!existsSync(stamp) || statSync(stamp).mtimeMs < newestSource()) await buildAll();
}

/** Newest change among the files that the build reads, in milliseconds; deleted ones change their folder. */
function newestSource() {
  let newest = Math.max(...['package-lock.json', ...frontDoors].map((file) => statSync(path.join(root, file)).mtimeMs));
  for (const room of rooms.filter((room) => room !== 'test')) {
    for (const entry of readdirSync(path.join(root, room), { recursive: true, withFileTypes: true })) {
      if (!entry.isDirectory() && !/\.(ts|mjs|html|css|svg|png|ico|webmanifest)$/.test(entry.name)) continue;
      newest = Math.max(newest, statSync(path.join(entry.parentPath ?? entry.path, entry.name)).mtimeMs);
    }
  }
  return newest;
}

/** The types of what programs import, beside the code: for the package. */
function buildDeclarations() {
  const typescript = path.join(root, 'node_modules/typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [typescript, '-p', path.join(root, 'tsconfig.declarations.json')], { stdio: 'inherit' });
  if (status !== 0) throw new Error('The declarations could not be made; the compiler says why above.');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes('--clean')) await rm(dist, { recursive: true, force: true });
  await buildAll();
  if (process.argv.includes('--declarations')) buildDeclarations();
}
