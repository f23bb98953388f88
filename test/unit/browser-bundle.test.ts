// What a page imports: bundled as a page's tools bundle it, without a module of Node's, native code or weights.
import assert from 'node:assert/strict';
import { builtinModules } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const dist = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const NATIVE = /node_modules\/(onnxruntime-node|node-av|sharp|libsql|latentchat-weights)\//;

for (const entry of ['browser.js', 'client/sdk/index.js']) {
  test(`dist/${entry} is bundled for a page from files that need nothing of Node's`, async () => {
    const { metafile, warnings } = await build({
      entryPoints: [path.join(dist, entry)],
      bundle: true,
      write: false,
      metafile: true,
      format: 'esm',
      platform: 'browser',
      conditions: ['onnxruntime-web-use-extern-wasm'],
      logLevel: 'silent',
      outdir: path.join(dist, 'never-written'),
    });
    assert.deepEqual(warnings, []);
    const files = Object.keys(metafile.inputs);
    assert.deepEqual(files.filter((file) => file.endsWith('.node.js') || NATIVE.test(file)), []);
    const imported = Object.values(metafile.outputs).flatMap(({ imports }) => imports.filter(({ external }) => external).map((one) => one.path));
    assert.deepEqual(imported.filter((name) => name.startsWith('node:') || builtinModules.includes(name)), []);
  });
}
