/** Encodes one video in a process of its own at low priority. Ends when told to stop, when done, or when the server is gone. */
import { readdirSync } from 'node:fs';
import os from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { readContainer } from '../../model/container/index.js';
import { openFrames } from '../../model/frames/open.node.js';
import { encodeVideo } from '../../model/inr/encode.node.js';
import type { EncodeProgress } from '../../model/inr/progress.js';
import { openPack } from '../../model/pack/open.node.js';
import { writeAtomically } from '../../model/runtime/durable.node.js';
import { deviceRuntime } from '../../model/runtime/device.node.js';
import type { VideoProgress } from '../api/schemas.js';
import { versionOf } from '../store/files.js';
import { behaveAsChild } from './child-side.js';
import { factsOf } from './container-report.js';
import { describeFailure } from './failure.js';
import type { EncodeTask, FromEncoder, ToEncoder } from './messages.js';

/**
 * Niceness while somebody waits to ask the first question, while the other frames are read, for which at most the next video waits, and of
 * the training behind it. The chat runs at 0: beside it, on busy cores, Linux gives a process at 10 a tenth of the time (at 5 a quarter:
 * answers would begin a third later), at 15 a thirtieth, at 19 a seventieth.
 */
const glanceNiceness = 10;
const readingNiceness = 15;
const trainingNiceness = 19;

/**
 * While an answer is being written and for a moment after, a training takes one step in so many seconds. A low priority alone is not enough:
 * the step under way has filled the caches and keeps its core for a slice of time. It never rests for good, since answers may never end.
 */
const longestRest_s = 2;
/** Whoever asks at once after an answer should not meet a step that has just begun. */
const lull_s = 0.3;
const restTick_ms = 20;

const stop = new AbortController();
let currentNiceness = 0;
let answering = false;
/** When the last answer ended, in milliseconds of performance.now(). */
let answeredAt = -Infinity;

function send(message: FromEncoder): void {
  process.send?.(message);
}

/**
 * Sets the niceness of this process with all its threads: on Linux a thread has its own, which it inherits from whichever made it, so that
 * of one thread alone would leave ONNX Runtime's, which do the work, as they were. Later ones inherit it.
 */
function setNiceness(niceness: number): void {
  if (niceness === currentNiceness) return;
  currentNiceness = niceness;
  try {
    for (const thread of threads()) os.setPriority(thread, niceness);
  } catch {
    // Some sandboxes refuse even a lower priority; the encode then competes as an equal.
  }
}

/** Ids of this process's threads, or its own where threads have no priority of their own. */
function threads(): number[] {
  return process.platform === 'linux' ? readdirSync('/proc/self/task').map(Number) : [process.pid];
}

async function rest(): Promise<void> {
  const began = performance.now();
  const wanted = (): boolean => answering || performance.now() < answeredAt + lull_s * 1000;
  while (wanted() && !stop.signal.aborted && performance.now() < began + longestRest_s * 1000) await setTimeout(restTick_ms);
}

async function encode(task: EncodeTask): Promise<FromEncoder> {
  let psnr_db: number | null = null;
  const source = await openFrames(task.source, { name: task.sourceName });
  try {
    const report = await encodeVideo(source, {
      pack: await openPack(task.packDir),
      runtime: await deviceRuntime(task.device, { threads: task.threads }),
      preset: task.preset,
      ...(task.seconds === null ? {} : { seconds: task.seconds }),
      signal: stop.signal,
      checkpointPath: task.checkpoint,
      sourceName: task.sourceName,
      sourceBytes: task.sourceBytes,
      afterStep: rest,
      onProgress: (progress) => {
        if (progress.stage === 'training') setNiceness(trainingNiceness);
        psnr_db = finite(progress.psnr_db) ?? psnr_db;
        send({ type: 'progress', progress: wireProgress(progress) });
      },
      onContainer: async (bytes, stage) => {
        if (stage === 'latents') setNiceness(Math.max(currentNiceness, readingNiceness));
        // What cannot be read back must never take the place of what can.
        const container = readContainer(bytes);
        const version = versionOf(await writeAtomically(task.container, bytes));
        send({ type: 'container', facts: factsOf(container, version, stage, bytes.length, stage === 'latents' ? null : psnr_db) });
      },
    });
    return { type: 'done', psnr_db: finite(report.psnr_db) };
  } catch (error) {
    if (stop.signal.aborted) return { type: 'stopped' };
    throw error;
  } finally {
    await source.close();
  }
}

function wireProgress({ stage, done, total, unit, psnr_db, frames_per_s, eta_s }: EncodeProgress): VideoProgress {
  return { stage, done, total, unit, psnr_db: finite(psnr_db), frames_per_s: finite(frames_per_s), eta_s: finite(eta_s) };
}

/** JSON has no infinity, which is what the PSNR of a perfect picture is. */
function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

process.on('message', (message: ToEncoder) => {
  if (message.type === 'stop') {
    stop.abort();
    return;
  }
  if (message.type === 'aside') {
    setNiceness(trainingNiceness);
    return;
  }
  if (message.type === 'answering') {
    ({ answering } = message);
    if (!answering) answeredAt = performance.now();
    return;
  }
  const { task } = message;
  void encode(task)
    .catch((error: unknown) => describeFailure(error, task.source, 'encode_failed'))
    .then((last) => process.send?.(last, () => process.exit(0)));
});
behaveAsChild();
setNiceness(glanceNiceness);
