/**
 * The decoder's worker: reads containers and runs their networks, so that scrubbing never blocks the page. ONNX Runtime's
 * wasm is fetched from beside this script when the first frame is asked for.
 */
import { ContainerError, type LinrFile } from '../../model/container/index.js';
import { LinrDecoder, MAX_ENLARGEMENT } from '../../model/inr/decoder.js';
import { shotStarts } from '../../model/inr/shots.js';
import type { ContainerInfo, DecodedFrame, DecoderAnswer, DecoderRequest, DecoderResults } from './decoder-protocol.js';
import { paintLatents } from './latent-picture.js';

interface Opened {
  readonly url: string;
  decoder: LinrDecoder;
}

const opened = new Map<string, Opened>();

self.addEventListener('message', (event: MessageEvent<DecoderRequest>) => {
  void answer(event.data);
});

async function answer(request: DecoderRequest): Promise<void> {
  try {
    const [result, transfer] = await perform(request);
    send({ id: request.id, result }, transfer);
  } catch (error) {
    send({ id: request.id, error: error instanceof Error ? error.message : String(error) }, []);
  }
}

function send(message: DecoderAnswer, transfer: Transferable[]): void {
  self.postMessage(message, { transfer });
}

async function perform(request: DecoderRequest): Promise<[DecoderResults[keyof DecoderResults], Transferable[]]> {
  switch (request.op) {
    case 'open': {
      const { key, url } = request;
      const decoder = new LinrDecoder(url);
      const info = describe(await decoder.file());
      opened.set(key, { url, decoder });
      return [info, []];
    }
    case 'frame': {
      const frame = await decode(find(request.key), request.index, request.width);
      return [frame, [frame.bitmap]];
    }
    case 'latents': {
      const { latents, latentDim } = await find(request.key).decoder.file();
      const bitmap = await createImageBitmap(paintLatents(latents, latentDim));
      return [bitmap, [bitmap]];
    }
    case 'vectors': {
      const { latents, latentDim } = await find(request.key).decoder.file();
      const vectors = new Float32Array(request.indices.length * latentDim);
      request.indices.forEach((frame, row) => vectors.set(latents.subarray(frame * latentDim, (frame + 1) * latentDim), row * latentDim));
      return [vectors, [vectors.buffer]];
    }
    case 'close': {
      const entry = opened.get(request.key);
      opened.delete(request.key);
      await entry?.decoder.release();
      return [null, []];
    }
  }
}

function find(key: string): Opened {
  const entry = opened.get(key);
  if (!entry) throw new Error(`The container ${key} is not open.`);
  return entry;
}

function describe({ meta, latents, latentDim, segments }: LinrFile): ContainerInfo {
  const { width, height, frames, times_s, duration_s } = meta;
  const pictures = segments.some(({ network }) => network !== null);
  return { width, height, widest: width * MAX_ENLARGEMENT, frames, times_s, duration_s, latentDim, shots: shotStarts(latents, latentDim), pictures };
}

async function decode(entry: Opened, index: number, width: number): Promise<DecodedFrame> {
  const start = performance.now();
  const frame = await entry.decoder.frame(index, width).catch(async (error: unknown) => {
    if (!(error instanceof ContainerError) || error.code !== 'source_changed') throw error;
    // A sharper container has taken its place: its frames are what is wanted now, before the page has heard of it.
    await entry.decoder.release();
    entry.decoder = new LinrDecoder(entry.url);
    return entry.decoder.frame(index, width);
  });
  const bitmap = await createImageBitmap(toImage(frame.data, frame.width, frame.height));
  return { bitmap, took_ms: performance.now() - start };
}

/** (H, W, 3) bytes to what a canvas takes. */
function toImage(rgb: Uint8Array, width: number, height: number): ImageData {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let pixel = 0, at = 0; pixel < pixels.length; pixel += 1, at += 3) {
    // Every platform a browser runs on is little-endian: alpha is the highest byte.
    pixels[pixel] = 0xff000000 | ((rgb[at + 2] ?? 0) << 16) | ((rgb[at + 1] ?? 0) << 8) | (rgb[at] ?? 0);
  }
  return image;
}
