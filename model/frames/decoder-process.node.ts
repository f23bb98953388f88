/** The program of the decoder process: decodes a file at a time with mediabunny and hands out its frames one by one. */
import { Worker } from 'node:worker_threads';
import type { Failure, Replies, ReplyMessage, Request, RequestMessage } from './decoder-protocol.js';
import { FrameSourceError } from './error.js';
import { openMediabunnySource } from './mediabunny-source.node.js';
import type { Frame, FrameSource } from './types.js';

/** Seconds without a turn of the event loop after which the process ends itself. Decoding runs on other threads. */
const STUCK_S = 15;

let source: FrameSource | undefined;
const loops = new Map<number, AsyncIterator<Frame>>();

async function answer(request: Request): Promise<Replies[keyof Replies]> {
  if (request.call === 'open') {
    source = await openMediabunnySource(request.file, request.container);
    return source.info;
  }
  if (request.call === 'close') {
    await source?.close();
    source = undefined;
    loops.clear();
    return null;
  }
  if (source === undefined) throw new Error('the decoder process was asked for frames before it was given a file');
  if (request.call === 'frames') {
    const options = { ...(request.size === null ? {} : { size: request.size }), ...(request.limit === null ? {} : { limit: request.limit }) };
    loops.set(request.loop, source.frames(options)[Symbol.asyncIterator]());
    return null;
  }
  const loop = loops.get(request.loop);
  if (request.call === 'return') {
    loops.delete(request.loop);
    await loop?.return?.();
    return null;
  }
  const next = await loop?.next();
  if (next !== undefined && next.done !== true) return next.value;
  loops.delete(request.loop);
  return null;
}

function failureOf(error: unknown): Failure {
  return { code: error instanceof FrameSourceError ? error.code : null, message: error instanceof Error ? error.message : String(error) };
}

function send(message: ReplyMessage): void {
  // The other side may be gone already; then nobody waits for the answer.
  process.send?.(message, undefined, undefined, () => undefined);
}

process.on('message', ({ id, request }: RequestMessage) => {
  answer(request).then(
    (value) => send({ id, value }),
    (error: unknown) => send({ id, failure: failureOf(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
// An interrupt typed at the terminal reaches this process too, but it is for the program, which ends this one itself.
process.on('SIGINT', () => undefined);

// Nothing on this thread can notice that this thread is stuck in a loop; a second thread can.
const turns = new Int32Array(new SharedArrayBuffer(4));
setInterval(() => Atomics.add(turns, 0, 1), 1000).unref();
new Worker(
  `const { workerData: { turns, seconds } } = require('node:worker_threads');
  let last = -1;
  setInterval(() => {
    const now = Atomics.load(turns, 0);
    if (now === last) process.kill(process.pid, 'SIGKILL');
    last = now;
  }, seconds * 1000);`,
  { eval: true, workerData: { turns, seconds: STUCK_S } },
).unref();
