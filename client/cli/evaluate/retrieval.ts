/** How well words find photos and photos words, and moments of clips are found, from latents written to containers and read back. */
import type { Frame } from '../../../model/frames/index.js';
import { openFrames } from '../../../model/frames/open.node.js';
import { hitsOf, momentsOf, type IndexedVideo } from '../../../model/retrieval/index.js';
import { seededRandom } from '../../../model/runtime/random.js';
import { overlap, type Moment } from '../../metrics/moments.js';
import { latentsContainer, openAskable } from '../ask.js';
import type { Models } from '../models.js';
import type { Progress } from '../terminal.js';

/** A photo and what people wrote of it. */
export interface CaptionedPhoto {
  /** Path of the photo, or of a container of it. */
  readonly file: string;
  readonly captions: readonly string[];
}

export interface EvaluationOptions {
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Shares in [0, 1]: how often what belongs together is the first, among the first five, among the first ten. */
export interface Recalls {
  readonly r1: number;
  readonly r5: number;
  readonly r10: number;
}

export interface RetrievalScores {
  readonly photos: number;
  readonly captions: number;
  /** Each caption looks for its photo among all. */
  readonly text_to_photo: Recalls;
  /** Each photo looks for one of its own captions among all. */
  readonly photo_to_text: Recalls;
}

/** @throws the signal's reason when it is aborted, and what keeps a photo from being read */
export async function evaluateRetrieval(models: Models, photos: readonly CaptionedPhoto[], { progress, signal }: EvaluationOptions): Promise<RetrievalScores> {
  const search = await models.search();
  const index: IndexedVideo[] = [];
  for (const [i, { file }] of photos.entries()) {
    signal.throwIfAborted();
    const { video } = await openAskable(file, models, { signal });
    index.push(await search.index(video));
    progress.update({ label: 'photos', done: i + 1, total: photos.length, unit: 'photos' });
  }
  const texts = photos.flatMap(({ captions }, photo) => captions.map((caption) => ({ photo, caption })));
  const scores: Float32Array[] = [];
  for (const [i, { caption }] of texts.entries()) {
    signal.throwIfAborted();
    const query = await search.textVector(caption);
    scores.push(Float32Array.from(index, (photo) => Math.max(...hitsOf(photo, query, 'frames').map(({ score }) => score))));
    progress.update({ label: 'captions', done: i + 1, total: texts.length, unit: 'captions' });
  }
  const forward = texts.map(({ photo }, text) => {
    const row = scores[text] as Float32Array;
    return row.filter((score) => score > (row[photo] as number)).length;
  });
  const backward = photos.map((_, photo) => {
    const column = scores.map((row) => row[photo] as number);
    const best = Math.max(...column.filter((_score, text) => texts[text]?.photo === photo));
    return column.filter((score, text) => texts[text]?.photo !== photo && score > best).length;
  });
  return { photos: photos.length, captions: texts.length, text_to_photo: recalls(forward), photo_to_text: recalls(backward) };
}

function recalls(ranks: readonly number[]): Recalls {
  const share = (most: number): number => ranks.filter((rank) => rank < most).length / ranks.length;
  return { r1: share(1), r5: share(5), r10: share(10) };
}

export interface MomentScores {
  readonly clips: number;
  /** Captions of scenes that were looked for. */
  readonly moments: number;
  /** Share of them whose best moment overlaps the scene by more than half (temporal intersection over union). */
  readonly found: number;
  /** Mean overlap. */
  readonly overlap: number;
  /** What the best of the evenly cut thirds of each clip would get instead: a search that knows the scores but no extents. */
  readonly thirds: number;
}

export interface ClipOptions extends EvaluationOptions {
  /** Default 100. */
  readonly clips?: number;
  /** Default 1. */
  readonly seed?: number;
}

/** Frames a second of the clips. */
const CLIP_FPS = 4;

/**
 * Clips of two or three photos, one scene after the other with hard cuts; a scene is two to six seconds of a window that pans and zooms over
 * its photo. For one caption of each scene the best moment is looked for.
 */
export async function evaluateMoments(models: Models, photos: readonly CaptionedPhoto[], { clips = 100, seed = 1, progress, signal }: ClipOptions): Promise<MomentScores> {
  const search = await models.search();
  const random = seededRandom(`moments ${seed}`);
  const overlaps: number[] = [];
  let thirds = 0;
  for (let clip = 0; clip < clips; clip++) {
    signal.throwIfAborted();
    const scenes = Array.from({ length: 2 + Math.floor(random() * 2) }, () => {
      const photo = photos[Math.floor(random() * photos.length)] as CaptionedPhoto;
      return { photo, caption: photo.captions[Math.floor(random() * photo.captions.length)] as string, frames: Math.round((2 + 4 * random()) * CLIP_FPS) };
    });
    const frames: Frame[] = [];
    const spans: Moment[] = [];
    for (const { photo, frames: count } of scenes) {
      spans.push([frames.length / CLIP_FPS, (frames.length + count) / CLIP_FPS]);
      frames.push(...pan(await photoOf(photo.file), count, frames.length, random));
    }
    const duration_s = frames.length / CLIP_FPS;
    const { width, height } = frames[0] as Frame;
    const { container } = await latentsContainer(frames, models, { duration_s, source: { name: `clip ${clip}`, width, height, bytes: null } });
    const indexed = await search.index({ latents: container.latents, dim: container.latentDim, times_s: container.meta.times_s, duration_s });
    for (const [scene, { caption }] of scenes.entries()) {
      const query = await search.textVector(caption);
      const span = spans[scene] as Moment;
      const [best] = momentsOf(indexed, query);
      if (best !== undefined) overlaps.push(overlap([best.start_s, best.end_s], span));
      if (best !== undefined && overlap(thirdAround(best.start_s / 2 + best.end_s / 2, duration_s), span) > 0.5) thirds++;
    }
    progress.update({ label: 'clips', done: clip + 1, total: clips, unit: 'clips' });
  }
  const moments = overlaps.length;
  return {
    clips,
    moments,
    found: overlaps.filter((value) => value > 0.5).length / moments,
    overlap: overlaps.reduce((sum, value) => sum + value, 0) / moments,
    thirds: thirds / moments,
  };
}

function thirdAround(time_s: number, duration_s: number): Moment {
  const third = Math.min(2, Math.floor((3 * time_s) / duration_s));
  return [(third * duration_s) / 3, ((third + 1) * duration_s) / 3];
}

async function photoOf(file: string): Promise<Frame> {
  const source = await openFrames(file);
  try {
    for await (const frame of source.frames()) return frame;
    throw new Error(`${file} has no picture`);
  } finally {
    await source.close();
  }
}

/** Frames of a window that moves over a photo, 60 to 100% of each of its sides, from one random place to another. */
function pan(photo: Frame, count: number, first: number, random: () => number): Frame[] {
  const window = (): readonly [size: number, x: number, y: number] => {
    const size = 0.6 + 0.4 * random();
    return [size, random() * (1 - size), random() * (1 - size)];
  };
  const [from, to] = [window(), window()];
  return Array.from({ length: count }, (_, i) => {
    const share = count === 1 ? 0 : i / (count - 1);
    const [size, x, y] = from.map((value, k) => value + share * ((to[k] as number) - value)) as [number, number, number];
    return crop(photo, size, x, y, (first + i) / CLIP_FPS);
  });
}

function crop(photo: Frame, size: number, x: number, y: number, time_s: number): Frame {
  const [width, height] = [Math.max(1, Math.round(size * photo.width)), Math.max(1, Math.round(size * photo.height))];
  const left = Math.min(photo.width - width, Math.round(x * photo.width));
  const top = Math.min(photo.height - height, Math.round(y * photo.height));
  const data = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    const start = ((top + row) * photo.width + left) * 3;
    data.set(photo.data.subarray(start, start + width * 3), row * width * 3);
  }
  return { width, height, time_s, data };
}
