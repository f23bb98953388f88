/** How well words find photos and photos words, and moments of clips are found, from latents written to containers and read back. */
import { latentsContainer } from '../../../model/encoding/latents.js';
import type { Frame } from '../../../model/frames/index.js';
import { openFrames } from '../../../model/frames/open.node.js';
import { hitsOf, type IndexedVideo, momentsOf } from '../../../model/retrieval/index.js';
import { seededRandom } from '../../../model/runtime/random.js';
import { openLinr } from '../../../model/video/open.node.js';
import { encodeFrames, openAskable } from '../../../projector/library/askable.node.js';
import type { Models } from '../../../projector/library/models.js';
import { type Moment, overlap } from '../../metrics/moments.js';
import type { Progress } from '../terminal.js';
import type { Item } from './items.js';
import { openScenes, type Scene } from './scenes.js';

/** A photo or a clip and what people wrote of it. */
export interface CaptionedPhoto {
  /** Path of the photo or clip, or of a container of it. */
  readonly file: string;
  /** Photos that are shown one after the other instead of the file. */
  readonly scenes?: readonly Scene[];
  readonly captions: readonly string[];
}

/** What data lines hold, as things to search among. */
export function captionedPhotos(items: readonly Item[]): CaptionedPhoto[] {
  return items.map(({ file, scenes, accepted }) => ({ file, captions: accepted, ...(scenes === undefined ? {} : { scenes }) }));
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
  for (const [i, { file, scenes }] of photos.entries()) {
    signal.throwIfAborted();
    const { video } = scenes === undefined ? await openAskable(file, models, { signal }) : await encodeFrames(await openScenes(scenes, signal), { name: file, bytes: 0 }, models, { signal });
    index.push(await search.index(video));
    progress.update({ label: 'photos', done: i + 1, total: photos.length, unit: 'photos' });
  }
  const texts = photos.flatMap(({ captions }, photo) => captions.map((caption) => ({ photo, caption })));
  const scores: Float32Array[] = [];
  for (const [i, { caption }] of texts.entries()) {
    signal.throwIfAborted();
    const query = await search.textVector(caption);
    scores.push(Float32Array.from(index, (photo) => meanScore(photo, query)));
    progress.update({ label: 'captions', done: i + 1, total: texts.length, unit: 'captions' });
  }
  const { forward, backward } = bothWays(scores, texts.map(({ photo }) => photo), photos.length);
  return { photos: photos.length, captions: texts.length, text_to_photo: recalls(forward), photo_to_text: recalls(backward) };
}

/** Of a clip, the mean over its frames: a caption tells of the whole. */
function meanScore(video: IndexedVideo, query: Float32Array): number {
  const scores = hitsOf(video, query, 'frames').map(({ score }) => score);
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

/**
 * Ranks of what belongs together, 0 the first: of each text's thing among all things, and of each thing's best text among those of the others.
 * @param scores a row a text: its score with each thing
 * @param owners the thing that each text tells of
 */
export function bothWays(scores: readonly Float32Array[], owners: readonly number[], things: number): { readonly forward: number[]; readonly backward: number[] } {
  const forward = owners.map((owner, text) => {
    const row = scores[text] as Float32Array;
    return row.filter((score) => score > (row[owner] as number)).length;
  });
  const backward = Array.from({ length: things }, (_, thing) => {
    const column = scores.map((row) => row[thing] as number);
    const best = Math.max(...column.filter((_score, text) => owners[text] === thing));
    return column.filter((score, text) => owners[text] !== thing && score > best).length;
  });
  return { forward, backward };
}

export function recalls(ranks: readonly number[]): Recalls {
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

/** A scene of a clip: one caption of its photo, and when it is shown. */
export interface MadeScene {
  readonly caption: string;
  readonly span: Moment;
}

export interface MadeClip {
  readonly frames: Frame[];
  readonly scenes: MadeScene[];
  readonly duration_s: number;
}

/** Photos as a clip: one scene after the other with hard cuts, each two to six seconds of a window that pans and zooms over its photo. */
export async function makeClip(count: number, choose: (scene: number) => CaptionedPhoto, random: () => number): Promise<MadeClip> {
  const planned = Array.from({ length: count }, (_, scene) => {
    const photo = choose(scene);
    return { photo, caption: photo.captions[Math.floor(random() * photo.captions.length)] as string, length: Math.round((2 + 4 * random()) * CLIP_FPS) };
  });
  const frames: Frame[] = [];
  const scenes: MadeScene[] = [];
  for (const { photo, caption, length } of planned) {
    scenes.push({ caption, span: [frames.length / CLIP_FPS, (frames.length + length) / CLIP_FPS] });
    frames.push(...pan(await photoOf(photo.file), length, frames.length, random));
  }
  return { frames, scenes, duration_s: frames.length / CLIP_FPS };
}

/** For one caption of each scene of clips of two or three photos the best moment is looked for. */
export async function evaluateMoments(models: Models, photos: readonly CaptionedPhoto[], { clips = 100, seed = 1, progress, signal }: ClipOptions): Promise<MomentScores> {
  const search = await models.search();
  const random = seededRandom(`moments ${seed}`);
  const overlaps: number[] = [];
  let thirds = 0;
  for (let clip = 0; clip < clips; clip++) {
    signal.throwIfAborted();
    const { frames, scenes, duration_s } = await makeClip(2 + Math.floor(random() * 2), () => photos[Math.floor(random() * photos.length)] as CaptionedPhoto, random);
    const { width, height } = frames[0] as Frame;
    const source = { name: `clip ${clip}`, width, height, bytes: null };
    const { bytes } = await latentsContainer(frames, await models.tower(), { duration_s, source, pack: models.pack.manifest });
    const indexed = await search.index(await openLinr(bytes));
    for (const { caption, span } of scenes) {
      const query = await search.textVector(caption);
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
