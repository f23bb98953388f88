/** The API held to /openapi.json by Schemathesis, where it is installed: `pip install schemathesis` in a virtual environment on PATH. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DemoServer } from '../helpers/demo-server.js';
import { TestFolder } from '../helpers/folder.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const installed = spawnSync('schemathesis', ['--version']).status === 0;
/** Requests of each operation beside those that cover its schema: enough for a quarter of a minute. */
const EXAMPLES = '10';

test('requests made from /openapi.json, right and wrong, are answered as it says', { skip: installed ? false : 'schemathesis is not installed' }, async () => {
  const demo = await DemoServer.start({ threads: 1, logLevel: 'error', encode: { preset: 'draft', seconds: 2 } });
  const folder = await TestFolder.make();
  try {
    const args = ['--config-file', path.join(root, 'test/schemathesis.toml'), 'run', `${demo.process.url}/openapi.json`];
    const options = ['--max-examples', EXAMPLES, '--phases', 'examples,coverage,fuzzing', '--request-timeout', '30', '--seed', '1', '--no-color'];
    const { code, output } = await run('schemathesis', [...args, ...options], folder.path);
    assert.equal(code, 0, output);
  } finally {
    await demo.stop();
    await folder.remove();
  }
});

/** @param cwd where the program may leave what it keeps between runs */
function run(program: string, args: readonly string[], cwd: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}
