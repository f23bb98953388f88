/** The program of the decoder process: decodes a file at a time with libav and hands out its frames one by one. */
import { Worker } from 'node:worker_threads';
import type { Failure, Replies, ReplyMessage, Request, RequestMessage } from './decoder-protocol.js';
import { FrameSourceError } from './error.js';
import { openLibavSource } from './libav-source.node.js';
import type { Frame, FrameSource } from './types.js';

/** Seconds without a turn of the event loop after which the process ends itself: it takes one after each frame. */
const STUCK_S = 30;
/** Seconds between two looks at whether the process is stuck or too large. */
const LOOK_S = 1;
/** Megabytes the process may take: a few frames of MAX_VIDEO_PIXELS as they are decoded, and as they are handed out. */
const MAX_MB = 4096;

let source: FrameSource | undefined;
const loops = new Map<number, AsyncIterator<Frame>>();

async function answer(request: Request): Promise<Replies[keyof Replies]> {
  if (request.call === 'open') {
    source = await openLibavSource(request.file);
    return { info: source.info, warnings: source.warnings };
  }
  if (request.call === 'close') {
    await source?.close();
    source = undefined;
    loops.clear();
    return null;
  }
  if (source === undefined) throw new Error('the decoder process was asked for frames before it was given a file');
  if (request.call === 'warnings') return source.warnings;
  if (request.call === 'frames') {
    const { size, limit, from_s } = request;
    const options = { ...(size === null ? {} : { size }), ...(limit === null ? {} : { limit }), ...(from_s === null ? {} : { from_s }) };
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

// Nothing on this thread can notice that this thread is stuck in a loop or that libav fills the memory; a second thread can.
const turns = new Int32Array(new SharedArrayBuffer(4));
setInterval(() => Atomics.add(turns, 0, 1), 1000 * LOOK_S).unref();
new Worker(
  `const { workerData: { turns, looks, look_s, bytes } } = require('node:worker_threads');
  let last = -1;
  let still = 0;
  setInterval(() => {
    const now = Atomics.load(turns, 0);
    still = now === last ? still + 1 : 0;
    last = now;
    if (still >= looks || process.memoryUsage.rss() > bytes) process.kill(process.pid, 'SIGKILL');
  }, look_s * 1000);`,
  { eval: true, workerData: { turns, looks: STUCK_S / LOOK_S, look_s: LOOK_S, bytes: MAX_MB * 2 ** 20 } },
).unref();
