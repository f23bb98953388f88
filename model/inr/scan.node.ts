/** The first look at a video: what its frames show, when they are shown, and where its shots begin, in constant memory. */
import type { Frame, FrameSize, FrameSource } from '../frames/index.js';
import type { VisionTower } from '../vision/index.js';
import { findShots, thumbnail, thumbnailChange } from './segments.js';
import { interpolateTargets } from './targets.js';

export interface Scan {
  /** (T) seconds. */
  readonly times_s: Float64Array;
  /** (T, D) latent targets. */
  readonly targets: Float32Array;
  /** First frames of the shots, the first of them 0. */
  readonly shots: readonly number[];
}

export interface ScanOptions {
  /** Frames are asked for at this size: what the tower sees. */
  readonly size: FrameSize;
  /** Most frames; longer videos are sampled uniformly in time. */
  readonly limit: number;
  readonly signal?: AbortSignal;
  readonly onFrame?: (done: number) => void;
}

/**
 * Features are taken this many times a second, and at the first and last frame of each shot; those of the frames between
 * are interpolated.
 */
const FEATURES_PER_SECOND = 8;

/** Latents of the frames a chat looks at, long before the whole video has been read. */
export async function glance(source: FrameSource, tower: VisionTower, count: number, options: ScanOptions): Promise<Omit<Scan, 'shots'>> {
  const times: number[] = [];
  const rows: Float32Array[] = [];
  for await (const frame of read(source, { ...options, limit: count })) {
    times.push(frame.time_s);
    rows.push(tower.latents(await tower.features([frame])));
    options.onFrame?.(times.length);
  }
  return { times_s: Float64Array.from(times), targets: joined(rows, tower.latentDim) };
}

/** Reads every frame once. @throws RangeError when there is none. */
export async function scanVideo(source: FrameSource, tower: VisionTower, options: ScanOptions): Promise<Scan> {
  const times: number[] = [];
  const rows: (Float32Array | null)[] = [];
  const changes: number[] = [];
  let before: { frame: Frame; cells: Float32Array } | null = null;
  let taken = -Infinity;
  const take = async (index: number, frame: Frame): Promise<void> => {
    rows[index] ??= tower.latents(await tower.features([frame]));
    taken = frame.time_s;
  };
  for await (const frame of read(source, options)) {
    const index = times.push(frame.time_s) - 1;
    rows.push(null);
    const cells = thumbnail(frame);
    changes.push(before === null ? 0 : thumbnailChange(before.cells, cells));
    // Where a shot may begin, neither side may be a mixture with the other.
    const cut = before !== null && findShots([0, changes[index] as number]).length > 1;
    if (cut && before !== null) await take(index - 1, before.frame);
    if (cut || frame.time_s - taken > 0.999 / FEATURES_PER_SECOND) await take(index, frame);
    before = { frame, cells };
    options.onFrame?.(times.length);
  }
  if (before === null) throw new RangeError('the video has no frame that can be decoded');
  await take(times.length - 1, before.frame);
  const known = Uint8Array.from(rows, (row) => (row === null ? 0 : 1));
  const targets = joined(rows, tower.latentDim);
  interpolateTargets(targets, tower.latentDim, known);
  return { times_s: Float64Array.from(times), targets, shots: findShots(changes) };
}

async function* read(source: FrameSource, { size, limit, signal }: ScanOptions): AsyncGenerator<Frame, void, void> {
  for await (const frame of source.frames({ size, limit, ...(signal === undefined ? {} : { signal }) })) {
    signal?.throwIfAborted();
    yield frame;
  }
}

function joined(rows: readonly (Float32Array | null)[], dim: number): Float32Array {
  const all = new Float32Array(rows.length * dim);
  rows.forEach((row, index) => { if (row !== null) all.set(row, index * dim); });
  return all;
}
