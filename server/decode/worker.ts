/** The worker that decodes frames for scripts and export, and finds shots; the page does both itself. One thing at a time. */
import { open, type FileHandle } from 'node:fs/promises';
import { parentPort } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import pLimit from 'p-limit';
import sharp from 'sharp';
import { fileSource } from '../../model/container/source.node.js';
import { LinrDecodeError } from '../../model/inr/decode-error.js';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { shotsOf } from '../../model/inr/shots.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { ApiError } from '../errors.js';
import { versionOf } from '../store/files.js';
import { endMessage } from '../workers/host.js';
import { hosted } from '../workers/pulse.js';
import type { DecoderWorkerData, FrameTask, FromDecoder, Picture, ToDecoder } from './messages.js';

interface Opened {
  readonly version: string;
  /** Stays open with its decoder, which reads segments as they are asked for, also of a file that a newer one has replaced. */
  readonly handle: FileHandle;
  readonly decoder: LinrDecoder;
}

/** Decoders kept open: one script walks through one video at a time. */
const keptDecoders = 2;
const { data: { threads, containerBytes }, onNative } = hosted<DecoderWorkerData>();
const runtime = nodeRuntime({ threads, onNative });
const opened = new LRUCache<string, Opened>({ max: keptDecoders, dispose: (entry) => void release(entry) });
/** Work is done one after the other. */
const turns = pLimit(1);

sharp.concurrency(1);
sharp.cache(false);

async function openDecoder(file: string): Promise<Opened> {
  const handle = await open(file, 'r');
  try {
    const stats = await handle.stat({ bigint: true });
    const version = versionOf(stats);
    const kept = opened.get(file);
    if (kept?.version === version) {
      await handle.close();
      return kept;
    }
    if (stats.size > BigInt(containerBytes)) throw new ApiError('decode_failed');
    const entry = { version, handle, decoder: new LinrDecoder(await fileSource(handle), runtime) };
    await entry.decoder.file();
    opened.set(file, entry);
    return entry;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A decoder does what it was asked before it lets go. */
async function release({ decoder, handle }: Opened): Promise<void> {
  await decoder.release();
  await handle.close();
}

/** What the caller can mend, or wait for, told as the API tells it. */
function apiError(error: LinrDecodeError): unknown {
  const message = `${error.message[0]?.toUpperCase() ?? ''}${error.message.slice(1)}.`;
  switch (error.code) {
    case 'frame_not_found':
      return new ApiError('frame_not_found', { param: 't', message });
    case 'width_out_of_range':
      return new ApiError('invalid_request', { param: 'width', message });
    case 'pictures_not_ready':
      return new ApiError('pictures_not_ready', { message });
    case 'network_invalid':
    case 'decoder_released':
      return error;
  }
}

async function decode({ file, index, width, format }: FrameTask): Promise<Picture> {
  const { decoder, version } = await openDecoder(file);
  const frame = await decoder.frame(index, width ?? undefined).catch((error: unknown) => {
    throw error instanceof LinrDecodeError ? apiError(error) : error;
  });
  const picture = sharp(frame.data, { raw: { width: frame.width, height: frame.height, channels: 3 } });
  const coded = format === 'png' ? picture.png() : format === 'jpeg' ? picture.jpeg({ quality: 90 }) : picture.webp({ quality: 90 });
  return { bytes: new Uint8Array(await coded.toBuffer()), version };
}

async function answerTo(message: ToDecoder): Promise<FromDecoder> {
  const { id } = message;
  if (message.type === 'frame') return { type: 'frame', id, picture: await decode(message.task) };
  const { latents, latentDim, meta } = await (await openDecoder(message.file)).decoder.file();
  return { type: 'shots', id, shots: shotsOf(latents, latentDim, meta.times_s, meta.duration_s) };
}

async function answer(asked: ToDecoder): Promise<void> {
  const { id } = asked;
  let message: FromDecoder;
  try {
    message = await answerTo(asked);
  } catch (error) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    message =
      error instanceof ApiError
        ? { type: 'failed', id, code: error.code, message: error.message, param: error.param, detail }
        : { type: 'failed', id, code: 'decode_failed', message: '', param: null, detail };
  }
  parentPort?.postMessage(message, message.type === 'frame' ? [message.picture.bytes.buffer as ArrayBuffer] : []);
}

parentPort?.on('message', (message: ToDecoder | typeof endMessage) => {
  if (message === endMessage) process.exit();
  void turns(() => answer(message));
});
