// Bundles the page into a folder that any web server can serve: node examples/page/build.mjs OUT
import { cp, mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
if (out === undefined) throw new Error('Name the folder to write.');
await mkdir(out, { recursive: true });
await build({
  entryPoints: [path.join(here, 'page.js')],
  outdir: out,
  bundle: true,
  format: 'esm',
  target: 'es2022',
  // ONNX Runtime's WebAssembly stays a file of its own, which is fetched when the first frame is drawn.
  conditions: ['onnxruntime-web-use-extern-wasm'],
});
await cp(path.join(here, 'index.html'), path.join(out, 'index.html'));
const ort = path.dirname(createRequire(import.meta.url).resolve('onnxruntime-web'));
for (const name of ['ort-wasm-simd-threaded.wasm', 'ort-wasm-simd-threaded.mjs']) await cp(path.join(ort, name), path.join(out, name));
