// npm run bench [-- NAME ...]: builds and runs the benchmarks of test/bench (all, or those named), each printing its table.
// npm run bench -- NAME ARGUMENT ...: one benchmark with arguments of its own, of which `--help` tells.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { ensureInstalled, root } from '../client/install.mjs';

ensureInstalled({ dev: true });
const { buildAll } = await import('../client/build.mjs');
await buildAll();
const folder = path.join(root, 'dist/test/bench');
const available = readdirSync(folder).filter((name) => name.endsWith('.bench.js')).map((name) => name.slice(0, -'.bench.js'.length));
/** Benchmarks that take arguments; the others would pass over them in silence. */
const configurable = ['caption', 'caption-kill', 'codec', 'decode', 'interpolation', 'kill', 'soak'];
const words = process.argv.slice(2);
const configured = configurable.includes(words[0]) && words.slice(1).some((word) => !available.includes(word));
const wanted = configured ? words.slice(0, 1) : words;
const unknown = wanted.filter((name) => !available.includes(name));
if (unknown.length > 0) {
  console.error(`No benchmark named ${unknown.join(', ')}. There are: ${available.join(', ')}; ${configurable.join(', ')} take arguments.`);
  process.exit(2);
}
let failed = false;
for (const name of wanted.length > 0 ? wanted : available) {
  console.log(`\n# ${name}`);
  failed = spawnSync(process.execPath, [path.join(folder, `${name}.bench.js`), ...(configured ? words.slice(1) : [])], { cwd: root, stdio: 'inherit' }).status !== 0 || failed;
}
process.exit(failed ? 1 : 0);
