/** Frames out of a container, in Node and in the browser: the network of network.ts with the file's own weights. */
import { blobSource, bytesSource, LinrFile, openUrl, type ByteSource, type SegmentEntry } from '../container/index.js';
import { resize } from '../frames/resize.js';
import type { Frame, FrameSize } from '../frames/types.js';
import type { HostTensor } from '../runtime/tensor.js';
import type { Runtime, Session } from '../runtime/types.js';
import { LinrDecodeError } from './decode-error.js';
import { enlargeGraph, FACTOR } from './enlarge.js';
import { interpolateFrames, type Picture } from './motion.js';
import { openSegment, type FrameLatent, type SegmentDecoder } from './segment-decoder.js';

/** Largest width a frame is enlarged to, as a multiple of the encoded one: beyond it there is nothing more to see. */
export const MAX_ENLARGEMENT = FACTOR;

/** Pixels that filters may make of a picture: 8K. Larger pictures are enlarged by plain interpolation. */
const MAX_ENLARGED_PIXELS = 1 << 25;

/**
 * Segments whose networks are kept ready, each some 10 MB: the one being watched, the one before it for going back, and one that
 * somebody else looks at.
 */
export const MAX_OPEN_SEGMENTS = 3;

/**
 * What is drawn between two frames: their motion followed to the moment (motion.ts), or the network's picture of the latent
 * beta z_t + (1 - beta) z_{t-1} (eq. 4), which shows both neighbours at once where something moves.
 */
export type Between = 'motion' | 'latents';

/** A `.linr` file: its address, its bytes, or something that reads them in parts. */
export type LinrSource = string | URL | Uint8Array | ArrayBuffer | Blob | ByteSource | LinrFile;

/**
 * Decodes any frame of a container by random access. The head is read when the first frame or `file()` is asked for, a segment's network
 * when the first of its frames is; networks of segments not looked at for longest are given back. Calls are served one after another.
 */
export class LinrDecoder {
  readonly #source: LinrSource;
  readonly #runtime: Runtime | Promise<Runtime> | undefined;
  #file: Promise<LinrFile> | null = null;
  /** By segment, the one used last at the end. */
  readonly #segments = new Map<number, SegmentDecoder>();
  /** Neighbours of the moments between frames that were asked for last, by index. */
  readonly #drawn = new Map<number, Picture>();
  /** The filters last enlarged with, ready to run. */
  #enlarger: { readonly segment: number; readonly session: Session } | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #released = false;

  /** @param runtime Default in a browser: `webRuntime()`. Needed in Node. */
  constructor(source: LinrSource, runtime?: Runtime | Promise<Runtime>) {
    this.#source = source;
    this.#runtime = runtime;
  }

  /** The container's head: sizes, times, latents, segments. @throws ContainerError for a file that is refused or cannot be read. */
  file(): Promise<LinrFile> {
    // What could not be opened is tried anew at the next call: an address may answer again.
    this.#file ??= openSource(this.#source).catch((error: unknown) => {
      this.#file = null;
      throw error;
    });
    return this.#file;
  }

  /**
   * One frame.
   *
   * @param index 0 to T - 1. `t - 1 + beta` lies between the frames t - 1 and t of a segment, drawn as `between` says;
   *   between two segments it is the nearer frame.
   * @param width in pixels. Default: the encoded width; at most 4 times that, drawn by the segment's own filters where it has them
   *   (enlarge.ts). The height keeps the aspect ratio.
   * @throws LinrDecodeError, or ContainerError for a file that is refused or cannot be read.
   */
  frame(index: number, width?: number, between: Between = 'motion'): Promise<Frame> {
    const frame = this.#last.then(() => this.#decode(index, width, between));
    this.#last = frame.catch(() => undefined);
    return frame;
  }

  /**
   * Reads and decodes the network that draws frame `index` ahead of time: a tenth of a second for a million numbers, after which
   * its segment's frames come in milliseconds, in any order. Throws as `frame`.
   */
  prepare(index: number): Promise<void> {
    const prepared = this.#last.then(async () => {
      this.#checkHeld();
      const file = await this.file();
      await this.#segment(file, placeOf(file, checkedIndex(file, index)).segment);
    });
    this.#last = prepared.catch(() => undefined);
    return prepared;
  }

  /** Frames in the order asked for. Options as for `frame`. */
  async *frames(indices: Iterable<number>, width?: number): AsyncGenerator<Frame, void, void> {
    for (const index of indices) yield await this.frame(index, width);
  }

  /** Frees the networks' memory once the frames asked for are done; asking for more is refused. The source stays its owner's to close. */
  release(): Promise<void> {
    this.#released = true;
    const released = this.#last.then(async () => {
      const segments = [...this.#segments.values()];
      this.#segments.clear();
      for (const segment of segments) await segment.release();
      await this.#enlarger?.session.release();
      this.#enlarger = null;
    });
    this.#last = released.catch(() => undefined);
    return released;
  }

  async #decode(index: number, wanted: number | undefined, between: Between): Promise<Frame> {
    this.#checkHeld();
    const file = await this.file();
    const { meta } = file;
    const place = placeOf(file, checkedIndex(file, index));
    const { width, height } = frameSize(meta, wanted);
    const native = between === 'motion' && place.beta > 0
      ? interpolateFrames(await this.#draw(file, place.segment, place.from), await this.#draw(file, place.segment, place.from + 1), place.beta)
      : await this.#drawLatent(file, place);
    const time_s = timeAt(meta.times_s, index);
    if (width === meta.width) return { ...native, time_s };
    const picture = width > meta.width ? await this.#enlarged(file, place.segment, native) : native;
    return { width, height, time_s, data: picture.width === width && picture.height === height ? picture.data : resize(picture, width, height) };
  }

  #checkHeld(): void {
    if (this.#released) throw new LinrDecodeError('decoder_released', 'this decoder was released; make another one');
  }

  /** The picture FACTOR times as large where its segment has filters for that, else as it is. */
  async #enlarged(file: LinrFile, segment: number, { width, height, data }: Picture): Promise<Picture> {
    const { filters } = await this.#segment(file, segment);
    if (filters === null || width * height > MAX_ENLARGED_PIXELS / FACTOR ** 2) return { width, height, data };
    if (this.#enlarger?.segment !== segment) {
      await this.#enlarger?.session.release();
      this.#enlarger = null;
      this.#enlarger = { segment, session: await (await (this.#runtime ?? defaultRuntime())).createSession(enlargeGraph(width, height, filters)) };
    }
    const { pixels } = await this.#enlarger.session.run({ picture: { dtype: 'uint8', dims: [height, width, 3], data } });
    return { width: width * FACTOR, height: height * FACTOR, data: (pixels as HostTensor).data as Uint8Array };
  }

  /** Frame `index` at the encoded size. The last two are kept: several moments between two frames need both. */
  async #draw(file: LinrFile, segment: number, index: number): Promise<Picture> {
    const known = this.#drawn.get(index);
    if (known !== undefined) return known;
    const picture = await this.#drawLatent(file, { segment, from: index, beta: 0 });
    for (const oldest of this.#drawn.keys()) {
      if (this.#drawn.size < 2) break;
      this.#drawn.delete(oldest);
    }
    this.#drawn.set(index, picture);
    return picture;
  }

  async #drawLatent(file: LinrFile, place: Place): Promise<Picture> {
    const decoder = await this.#segment(file, place.segment);
    return { width: file.meta.width, height: file.meta.height, data: await decoder.draw(latentAt(file, place)) };
  }

  async #segment(file: LinrFile, k: number): Promise<SegmentDecoder> {
    const known = this.#segments.get(k);
    if (known !== undefined) {
      this.#segments.delete(k);
      this.#segments.set(k, known);
      return known;
    }
    // Room first, so that there are never more than the limit.
    for (const [oldest, segment] of this.#segments) {
      if (this.#segments.size < MAX_OPEN_SEGMENTS) break;
      this.#segments.delete(oldest);
      await segment.release();
    }
    const opened = await openSegment(file, k, await (this.#runtime ?? defaultRuntime()));
    this.#segments.set(k, opened);
    return opened;
  }
}

/**
 * Size of a frame decoded at `width` (default: the encoded one), keeping the aspect ratio.
 * @throws LinrDecodeError `width_out_of_range`.
 */
export function frameSize(encoded: FrameSize, width = encoded.width): FrameSize {
  const widest = encoded.width * MAX_ENLARGEMENT;
  if (!Number.isInteger(width) || width < 1 || width > widest) {
    throw new LinrDecodeError('width_out_of_range', `width must be a whole number of pixels from 1 to ${widest}, got ${width}`);
  }
  return { width, height: width === encoded.width ? encoded.height : Math.max(1, Math.round((encoded.height * width) / encoded.width)) };
}

function openSource(source: LinrSource): Promise<LinrFile> {
  if (source instanceof LinrFile) return Promise.resolve(source);
  if (typeof source === 'string' || source instanceof URL) return openUrl(source).then((opened) => LinrFile.open(opened));
  if (source instanceof Uint8Array) return LinrFile.open(bytesSource(source));
  if (source instanceof ArrayBuffer) return LinrFile.open(bytesSource(new Uint8Array(source)));
  if (source instanceof Blob) return LinrFile.open(blobSource(source));
  return LinrFile.open(source);
}

let browserRuntime: Promise<Runtime> | null = null;

function defaultRuntime(): Promise<Runtime> {
  if (typeof self === 'undefined') throw new TypeError('outside a browser a LinrDecoder needs a runtime, such as nodeRuntime()');
  browserRuntime ??= import('../runtime/web.js').then(({ webRuntime }) => webRuntime());
  return browserRuntime;
}

/** A frame, or a point between frame `from` and the next one of the same segment. */
interface Place {
  readonly segment: number;
  readonly from: number;
  /** beta of eq. 4: 0 is frame `from`, towards 1 the next. */
  readonly beta: number;
}

function checkedIndex({ meta }: LinrFile, index: number): number {
  if (index >= 0 && index <= meta.frames - 1) return index;
  throw new LinrDecodeError('frame_not_found', `frame ${index} does not exist: this video has frames 0 to ${meta.frames - 1}`);
}

function placeOf(file: LinrFile, index: number): Place {
  const from = Math.floor(index);
  const beta = index - from;
  const segment = file.segmentOf(from);
  if (beta === 0 || file.segmentOf(from + 1) === segment) return { segment, from, beta };
  return beta < 0.5 ? { segment, from, beta: 0 } : { segment: segment + 1, from: from + 1, beta: 0 };
}

/** beta z_t + (1 - beta) z_{t-1}, eq. 4, of both parts of the latents. */
function latentAt(file: LinrFile, { segment, from, beta }: Place): FrameLatent {
  const mixing = file.mixing(segment);
  const { first } = file.segments[segment] as SegmentEntry;
  return {
    aligned: blended(file.latents, file.latentDim, from, beta),
    free: mixing === null ? null : blended(mixing.levels, mixing.count, from - first, beta),
  };
}

/** Row `at` of numbers in rows of `count`, or the point between it and the next one. */
function blended(rows: Float32Array | Int16Array, count: number, at: number, beta: number): Float32Array {
  const row = Float32Array.from(rows.subarray(at * count, (at + 1) * count));
  if (beta === 0) return row;
  const next = rows.subarray((at + 1) * count, (at + 2) * count);
  return row.map((value, i) => beta * (next[i] as number) + (1 - beta) * value);
}

function timeAt(times_s: Float64Array, index: number): number {
  const from = Math.floor(index);
  const time = times_s[from] as number;
  return index === from ? time : time + (index - from) * ((times_s[from + 1] as number) - time);
}
