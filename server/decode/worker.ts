/** The worker that decodes frames for scripts and export; the page decodes its own. One frame at a time. */
import { open, readFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import sharp from 'sharp';
import { readContainer } from '../../model/container/index.js';
import { LinrDecoder, MAX_ENLARGEMENT } from '../../model/inr/decoder.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { ApiError } from '../errors.js';
import { versionOf } from '../store/files.js';
import { endMessage } from '../workers/host.js';
import type { DecoderWorkerData, FrameTask, FromDecoder, Picture, ToDecoder } from './messages.js';

interface Opened {
  readonly version: string;
  readonly decoder: LinrDecoder;
  readonly frames: number;
}

/** Decoders kept open: one script walks through one video at a time. */
const keptDecoders = 2;
const { threads, containerBytes } = workerData as DecoderWorkerData;
const runtime = nodeRuntime({ threads });
const opened = new Map<string, Opened>();

sharp.concurrency(1);
sharp.cache(false);

async function openDecoder(file: string): Promise<Opened> {
  const handle = await open(file, 'r');
  try {
    const stats = await handle.stat({ bigint: true });
    const version = versionOf(stats);
    const kept = opened.get(file);
    opened.delete(file);
    if (kept?.version === version) {
      opened.set(file, kept);
      return kept;
    }
    await kept?.decoder.release();
    if (stats.size > BigInt(containerBytes)) throw new ApiError('decode_failed');
    const container = readContainer(await readFile(handle));
    if (container.network === null) throw new ApiError('pictures_not_ready');
    const entry = { version, decoder: await LinrDecoder.open(container, runtime), frames: container.meta.frames };
    opened.set(file, entry);
    for (const [oldest, { decoder }] of opened) {
      if (opened.size <= keptDecoders) break;
      opened.delete(oldest);
      await decoder.release();
    }
    return entry;
  } finally {
    await handle.close();
  }
}

async function decode({ file, index, width, format }: FrameTask): Promise<Picture> {
  const { decoder, version, frames } = await openDecoder(file);
  if (index >= frames) {
    throw new ApiError('frame_not_found', { param: 't', message: `There is no frame ${index}: the video has frames 0 to ${frames - 1}.` });
  }
  const widest = decoder.config.width * MAX_ENLARGEMENT;
  if (width !== null && width > widest) {
    throw new ApiError('invalid_request', { param: 'width', message: `The width must be at most ${widest} pixels for this video, got ${width}.` });
  }
  const frame = width === null ? await decoder.frame(index) : await decoder.frame(index, width);
  const picture = sharp(frame.data, { raw: { width: frame.width, height: frame.height, channels: 3 } });
  const coded = format === 'png' ? picture.png() : format === 'jpeg' ? picture.jpeg({ quality: 90 }) : picture.webp({ quality: 90 });
  return { bytes: new Uint8Array(await coded.toBuffer()), version };
}

async function answer({ id, task }: ToDecoder): Promise<void> {
  let message: FromDecoder;
  try {
    message = { type: 'frame', id, picture: await decode(task) };
  } catch (error) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    message =
      error instanceof ApiError
        ? { type: 'failed', id, code: error.code, message: error.message, param: error.param, detail }
        : { type: 'failed', id, code: 'decode_failed', message: '', param: null, detail };
  }
  parentPort?.postMessage(message, message.type === 'frame' ? [message.picture.bytes.buffer as ArrayBuffer] : []);
}

let last = Promise.resolve();
parentPort?.on('message', (message: ToDecoder | typeof endMessage) => {
  if (message === endMessage) process.exit();
  last = last.then(() => answer(message));
});
