/**
 * The best low-rank model of a segment, in closed form: a Karhunen-Loeve transform in time. Frames (T, N) = U B with U (T, T) orthonormal, the
 * eigenvectors of the frames' Gram matrix; row k of B is a basis image, column k of U how much each frame has of it. The basis images are then
 * transformed patch by patch (transform.ts), which keeps lengths: an error of a coefficient is an error of pixels of the same size.
 */
import { CHANNELS } from '../container/index.js';
import { Graph, ops } from '../graph/index.js';
import { asFloat32, float32, type HostTensor } from '../runtime/tensor.js';
import type { Runtime } from '../runtime/types.js';
import { symmetricEigen } from '../vision/linear-algebra.js';
import { MIDDLE, toCoefficients } from './transform.js';

/** Sizes of a segment's frames in pixels, and of the patches they are cut into. */
export interface FramesShape {
  readonly frames: number;
  readonly width: number;
  readonly height: number;
  readonly patch: number;
}

/** All frames of a segment as bytes, covered by whole patches: edges are repeated where a patch reaches past the frame. */
export class SegmentFrames {
  readonly rows: number;
  readonly columns: number;
  /** Bytes of a frame. */
  readonly size: number;
  readonly #data: Uint8Array;

  constructor(readonly shape: FramesShape) {
    const { frames, width, height, patch } = shape;
    this.rows = Math.ceil(height / patch);
    this.columns = Math.ceil(width / patch);
    this.size = this.rows * this.columns * patch * patch * CHANNELS;
    this.#data = new Uint8Array(frames * this.size);
  }

  /** Stores frame `t`: RGB (height, width, 3). */
  set(t: number, rgb: Uint8Array): void {
    const { width, height, patch } = this.shape;
    const line = width * CHANNELS;
    const padded = this.columns * patch * CHANNELS;
    const frame = this.#data.subarray(t * this.size, (t + 1) * this.size);
    for (let y = 0; y < this.rows * patch; y++) {
      const from = Math.min(y, height - 1) * line;
      const row = frame.subarray(y * padded, (y + 1) * padded);
      row.set(rgb.subarray(from, from + line));
      for (let at = line; at < padded; at++) row[at] = row[at - CHANNELS] as number;
    }
  }

  /** (T, n) row `row` of the patches of all frames. */
  patchRow(row: number): HostTensor {
    const { frames } = this.shape;
    const length = this.size / this.rows;
    const data = new Uint8Array(frames * length);
    for (let t = 0; t < frames; t++) data.set(this.#data.subarray(t * this.size + row * length, t * this.size + (row + 1) * length), t * length);
    return { dtype: 'uint8', dims: [frames, length], data };
  }

  /** (CHANNELS, CHANNELS) mean products of the colors' deviations from each pixel's mean over time, or from the picture's mean where there is one frame. */
  colorCovariance(): Float64Array {
    const { frames } = this.shape;
    const covariance = new Float64Array(CHANNELS * CHANNELS);
    const pixel = new Float64Array(CHANNELS);
    const mean = this.#meanColor();
    const data = this.#data;
    for (let at = 0; at < this.size; at += CHANNELS * COLOR_EVERY) {
      for (let channel = 0; frames > 1 && channel < CHANNELS; channel++) {
        let sum = 0;
        for (let t = 0; t < frames; t++) sum += data[t * this.size + at + channel] as number;
        mean[channel] = sum / frames;
      }
      for (let t = 0; t < frames; t++) {
        for (let channel = 0; channel < CHANNELS; channel++) pixel[channel] = (data[t * this.size + at + channel] as number) - (mean[channel] as number);
        for (let i = 0; i < CHANNELS; i++) for (let j = 0; j < CHANNELS; j++) covariance[i * CHANNELS + j]! += (pixel[i] as number) * (pixel[j] as number);
      }
    }
    return covariance;
  }

  #meanColor(): Float64Array {
    const mean = new Float64Array(CHANNELS);
    for (let at = 0; at < this.size; at++) mean[at % CHANNELS]! += (this.#data[at] as number) / (this.size / CHANNELS);
    return mean;
  }
}

/** One pixel in so many is looked at for the colors. */
const COLOR_EVERY = 7;

export interface ClosedForm {
  readonly frames: SegmentFrames;
  /** (T, K) orthonormal columns, by falling share of the frames. */
  readonly mixing: Float64Array;
  /** (K) coefficients of a basis image each, in [0, 1] units of a pixel. */
  readonly images: readonly Float32Array[];
  /** (CHANNELS, CHANNELS) the colors of the components, a column each. */
  readonly color: Float32Array;
  /** Squared error of all pixels that is left by the images that were not kept. */
  readonly rest: number;
}

/**
 * @param least images of which no coefficient can be larger are not kept
 * @param pause awaited between steps
 */
export async function closedForm(frames: SegmentFrames, runtime: Runtime, least: number, pause: () => Promise<void> = () => Promise.resolve()): Promise<ClosedForm> {
  const { frames: count } = frames.shape;
  const { values, vectors } = symmetricEigen(await gramMatrix(frames, runtime, pause), count);
  const kept = Math.max(1, values.filter((value) => value > least ** 2).length);
  const mixing = new Float64Array(count * kept);
  for (let t = 0; t < count; t++) for (let k = 0; k < kept; k++) mixing[t * kept + k] = vectors[t * count + k] as number;
  const color = Float32Array.from(symmetricEigen(frames.colorCovariance(), CHANNELS).vectors);
  const images = await basisImages(frames, mixing, color, runtime, pause);
  return { frames, mixing, images, color, rest: values.subarray(kept).reduce((sum, value) => sum + Math.max(0, value), 0) };
}

/** (T, T) products of the frames, less MIDDLE. Summed in double precision over the rows of patches. */
async function gramMatrix(frames: SegmentFrames, runtime: Runtime, pause: () => Promise<void>): Promise<Float64Array> {
  const { frames: count } = frames.shape;
  const graph = new Graph('gram');
  const pixels = centred(graph, frames);
  graph.output('gram', ops.matmul(pixels, ops.transposeLast(pixels)));
  const session = await runtime.createSession(graph.toOnnx());
  const sum = new Float64Array(count * count);
  try {
    for (let row = 0; row < frames.rows; row++) {
      const { gram } = await session.run({ pixels: frames.patchRow(row) });
      asFloat32(gram as HostTensor).forEach((value, i) => (sum[i]! += value));
      await pause();
    }
  } finally {
    await session.release();
  }
  return sum;
}

async function basisImages(frames: SegmentFrames, mixing: Float64Array, color: Float32Array, runtime: Runtime, pause: () => Promise<void>): Promise<Float32Array[]> {
  const { frames: count, patch } = frames.shape;
  const kept = mixing.length / count;
  const graph = new Graph('basis-images');
  const weights = graph.input('weights', 'float32', [kept, count]);
  const length = frames.size / frames.rows;
  const row = ops.reshape(ops.matmul(weights, centred(graph, frames)), [kept, patch, length / patch]);
  graph.output('coefficients', ops.reshape(toCoefficients(graph, row, { patch, columns: frames.columns }, color), [kept, length]));
  const session = await runtime.createSession(graph.toOnnx());
  const images = Array.from({ length: kept }, () => new Float32Array(frames.size));
  const transposed = float32(Float32Array.from({ length: kept * count }, (_, i) => mixing[(i % count) * kept + Math.floor(i / count)] as number), [kept, count]);
  try {
    for (let at = 0; at < frames.rows; at++) {
      const { coefficients } = await session.run({ weights: transposed, pixels: frames.patchRow(at) });
      const data = asFloat32(coefficients as HostTensor);
      images.forEach((image, k) => image.set(data.subarray(k * length, (k + 1) * length), at * length));
      await pause();
    }
  } finally {
    await session.release();
  }
  return images;
}

/** The input `pixels` of `patchRow`, in [0, 1] less MIDDLE. */
function centred(graph: Graph, frames: SegmentFrames): ReturnType<typeof ops.sub> {
  const pixels = graph.input('pixels', 'uint8', [frames.shape.frames, frames.size / frames.rows]);
  return ops.sub(ops.mul(ops.cast(pixels, 'float32'), 1 / 255), MIDDLE);
}
