import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import Fastify from 'fastify';
import { Graph, ops } from '../../model/graph/index.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { float32 } from '../../model/runtime/tensor.js';
import { ApiError } from '../../server/errors.js';
import { Inference, type Reply } from '../../server/inference/inference.js';
import { TestFolder } from '../helpers/folder.js';

const { log } = Fastify({ logger: { level: 'silent' } });

/** An inference whose worker really hangs when it is told to; see helpers/hanging-worker.ts. */
function start(context: TestContext): (text: string) => Reply & { readonly pieces: string[]; readonly starts: () => number } {
  const inference = new Inference({
    packDir: '', threads: 1, searchIdle_s: 1, context: null, most: 100, mostSearches: 10, silence_s: 1.5, log,
    program: new URL('../helpers/hanging-worker.js', import.meta.url),
  });
  inference.start();
  // A server has its sockets; nothing else here keeps the process while a worker is started again.
  const alive = setInterval(() => undefined, 1000);
  context.after(async () => {
    clearInterval(alive);
    await inference.close();
  });
  return (text) => {
    const pieces: string[] = [];
    let starts = 0;
    const sampling = { maxTokens: 8, temperature: 0, topP: 1, frequencyPenalty: 0, presencePenalty: 0, seed: null, stop: [], format: null, caption: null };
    const reply = inference.reply(
      { client: text, messages: [{ role: 'user', content: [{ type: 'text', text }] }], sampling },
      { onDelta: (piece) => pieces.push(piece), onStart: () => (starts += 1) },
    );
    return Object.assign(reply, { pieces, starts: () => starts });
  };
}

const crashed = (error: unknown): boolean => error instanceof ApiError && error.code === 'inference_crashed';

test('a worker that hangs is started again; what hangs it again is told, what waited behind it is answered', async (context) => {
  const ask = start(context);
  const [hang, behind] = [ask('hang'), ask('behind')];
  await assert.rejects(hang.outcome, crashed);
  assert.equal((await behind.outcome).text, 'behind');
  assert.equal((await ask('after').outcome).text, 'after');
});

test('a reply without text is resumed, begun once for who asked; one that has text is told', async (context) => {
  const folder = await TestFolder.make();
  context.after(() => folder.remove());
  const ask = start(context);
  const [begun, held, once] = [ask('begun'), ask('wait'), ask(`once ${folder.path}/hung`)];
  const told = Promise.all([assert.rejects(begun.outcome, crashed), held.outcome.catch(() => undefined)]);
  assert.match((await once.outcome).text, /^once /);
  assert.equal(once.starts(), 1);
  assert.deepEqual(begun.pieces, ['begun']);
  context.after(() => told);
});

test('a reply that was cancelled while the worker hung is not asked again', async (context) => {
  const ask = start(context);
  const hang = ask('hang');
  hang.cancel();
  assert.equal((await hang.outcome).finish, 'cancelled');
});

test('native code may hold the thread for longer than a worker may be silent', async (context) => {
  const ask = start(context);
  const native = ask('native');
  assert.equal((await native.outcome).text, 'native');
  assert.deepEqual([native.starts(), native.pieces.length], [1, 1]);
});

test('native code is told of while a session runs, and no longer when its caller goes on', async () => {
  const graph = new Graph('native');
  graph.output('y', ops.add(graph.input('x', 'float32', [1]), graph.input('x2', 'float32', [1])));
  const told: boolean[] = [];
  const session = await nodeRuntime({ onNative: (inside) => told.push(inside) }).createSession(graph.toOnnx());
  assert.deepEqual(told.splice(0), [true, false]);
  const x = float32(Float32Array.of(1), [1]);
  const running = session.run({ x, x2: x });
  assert.deepEqual(told, [], 'other work may go on between the call and the run');
  await running;
  assert.deepEqual(told, [true, false]);
  await session.release();
});
