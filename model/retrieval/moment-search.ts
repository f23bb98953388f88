/** Moments of one video for words. */
import { shotStarts } from '../inr/shots.js';
import type { ModelPack } from '../pack/index.js';
import type { Runtime } from '../runtime/types.js';
import { cosines, packVectors, type FrameVectors } from './frame-vectors.js';
import { findMoments, videoEnd, type Moment } from './moments.js';
import { LatentTower, queryText, TextTower, type Thresholds } from './retrieval.js';

/** A video as search sees it. */
export interface SearchableVideo {
  /** Latents (T, D), row-major. */
  readonly latents: Float32Array;
  /** D. */
  readonly dim: number;
  /** (T) seconds. */
  readonly times_s: ArrayLike<number>;
  /** Absent: the last frame is shown as long as the one before. */
  readonly duration_s?: number;
}

/** What is searched of a video: vectors, times and shots, made once. */
export interface IndexedVideo {
  readonly vectors: FrameVectors;
  readonly times_s: ArrayLike<number>;
  readonly duration_s: number;
  /** First frames of its shots. */
  readonly shots: readonly number[];
}

/** What is looked for in videos: words as a unit vector, and from which cosines on frames count as what they tell of. */
export interface MomentQuery extends Thresholds {
  readonly vector: Float32Array;
}

/** The moments of a video, best first, and from which cosines on they count as what the words tell of. */
export interface FoundMoments extends Thresholds {
  readonly moments: readonly Moment[];
}

/** The moments of an indexed video for a unit vector, best first. */
export function momentsOf({ vectors, times_s, duration_s, shots }: IndexedVideo, query: Float32Array): Moment[] {
  return findMoments(cosines(vectors, query), times_s, duration_s, shots);
}

/** Indexes videos and turns words into vectors; loads the text tower when it is first needed, and again after it was let go. */
export class MomentSearch {
  #text: Promise<TextTower> | null = null;

  private constructor(
    private readonly pack: ModelPack,
    private readonly runtime: Runtime,
    private readonly latentTower: LatentTower,
  ) {}

  /** @throws PackError for a pack without retrieval towers */
  static async load(pack: ModelPack, runtime: Runtime): Promise<MomentSearch> {
    return new MomentSearch(pack, runtime, await LatentTower.load(pack, runtime));
  }

  /** Numbers of a vector. */
  get dim(): number {
    return this.latentTower.dim;
  }

  async index(video: SearchableVideo): Promise<IndexedVideo> {
    const { latents, dim, times_s } = video;
    const vectors = packVectors(await this.latentTower.vectors(latents), this.latentTower.dim);
    return { vectors, times_s, duration_s: videoEnd(video), shots: shotStarts(latents, dim) };
  }

  /** The unit vector of words. @throws RangeError when there is no letter among them */
  async textVector(words: string): Promise<Float32Array> {
    return (await this.#textTower()).vector(words);
  }

  /** Number of tokens that are read of a text for its vector. */
  async textTokens(words: string): Promise<number> {
    return (await this.#textTower()).tokens(words);
  }

  /**
   * How like the frames of each video each text is: the mean of its cosines with them; -1, the least, for one without a letter.
   * @returns (videos, texts)
   */
  async likeness(videos: readonly SearchableVideo[], texts: readonly string[]): Promise<number[][]> {
    const vectors: (Float32Array | null)[] = [];
    for (const text of texts) vectors.push(queryText(text) === '' ? null : await this.textVector(text));
    const rows: number[][] = [];
    for (const { latents, dim } of videos) {
      const frames = await this.latentTower.vectors(latents);
      const mean = new Float32Array(this.dim);
      frames.forEach((value, i) => (mean[i % this.dim] = (mean[i % this.dim] as number) + (value * dim) / latents.length));
      rows.push(vectors.map((vector) => vector?.reduce((sum, value, i) => sum + value * (mean[i] as number), 0) ?? -1));
    }
    return rows;
  }

  /** What to look for: read once, however many videos it is looked for in. @throws RangeError when there is no letter among the words */
  async query(words: string): Promise<MomentQuery> {
    const tower = await this.#textTower();
    const vector = await tower.vector(words);
    return { vector, ...tower.thresholds(vector) };
  }

  async find(video: SearchableVideo, { vector, match, possible }: MomentQuery): Promise<FoundMoments> {
    return { moments: momentsOf(await this.index(video), vector), match, possible };
  }

  #textTower(): Promise<TextTower> {
    const loading = (this.#text ??= TextTower.load(this.pack, this.runtime));
    // What failed once, as for want of memory, may be tried again.
    loading.catch(() => {
      if (this.#text === loading) this.#text = null;
    });
    return loading;
  }

  /** Gives the text tower's memory back; the next search loads it again. */
  async releaseText(): Promise<void> {
    const text = this.#text;
    this.#text = null;
    await (await text?.catch(() => undefined))?.release();
  }

  async release(): Promise<void> {
    await this.releaseText();
    await this.latentTower.release();
  }
}
