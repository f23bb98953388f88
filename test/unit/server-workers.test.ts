import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { WorkerHost } from '../../server/workers/host.js';
import { silentLog } from '../helpers/log.js';
import { eventually } from '../helpers/eventually.js';

/** Answers with what it got and its thread's start count; ends itself on "crash" and throws on "throw". */
const program = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads';
    parentPort.on('message', (message) => {
      if (message === 'end') process.exit();
      if (message === 'crash') process.exit(3);
      if (message === 'throw') throw new Error('broken');
      parentPort.postMessage(message);
    });`)}`,
);

interface Seen {
  readonly host: WorkerHost<string, string>;
  readonly messages: string[];
  crashes: number;
}

function start(context: TestContext): Seen {
  const seen: Seen = {
    messages: [],
    crashes: 0,
    host: new WorkerHost<string, string>({ program, data: null, name: 'echo', log: silentLog, silence_s: 60, onMessage: (message) => seen.messages.push(message), onCrash: () => (seen.crashes += 1) }),
  };
  context.after(() => seen.host.close());
  return seen;
}

const until = (fits: () => boolean): Promise<void> => eventually(fits, (held) => held, 'the worker').then(() => undefined);

test('what is posted before the worker runs reaches it', async (context) => {
  const seen = start(context);
  seen.host.post('early');
  seen.host.start();
  await until(() => seen.messages.includes('early'));
});

for (const how of ['crash', 'throw']) {
  test(`a worker that ends itself (${how}) is reported once and started again`, async (context) => {
    const seen = start(context);
    seen.host.start();
    seen.host.post(how);
    await until(() => seen.crashes === 1);
    seen.host.post('again');
    await until(() => seen.messages.includes('again'));
    assert.equal(seen.crashes, 1);
  });
}

test('a worker that was ended on purpose is no crash and can be started later', async (context) => {
  const seen = start(context);
  seen.host.start();
  await seen.host.end();
  assert.equal(seen.host.running, false);
  seen.host.start();
  seen.host.post('later');
  await until(() => seen.messages.includes('later'));
  assert.equal(seen.crashes, 0);
});
