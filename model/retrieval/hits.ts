/** What a search finds in one video, and the best of what it found in several. */
import { cosines } from './frame-vectors.js';
import type { IndexedVideo } from './moment-search.js';
import { findMoments } from './moments.js';

/** Single frames, moments, or the best moment of each video. */
export const SCOPES = ['frames', 'segments', 'videos'] as const;
export type Scope = (typeof SCOPES)[number];

export interface Hit {
  /** Cosine of the query with the frame, or with the frames around it. */
  readonly score: number;
  readonly start_s: number;
  readonly end_s: number;
  /** The frame that fits best, from 0. */
  readonly frame: number;
}

/**
 * A video's hits, in no order.
 * @param query unit vector (dim)
 * @param except a frame that was the query itself: what holds it is left out; null: nothing is
 */
export function hitsOf(video: IndexedVideo, query: Float32Array, scope: Scope, except: number | null = null): Hit[] {
  const { vectors, times_s, duration_s, shots } = video;
  if (scope === 'videos' && except !== null) return [];
  const scores = cosines(vectors, query);
  if (scope === 'frames') {
    return [...scores].flatMap((score, frame) => {
      const start_s = times_s[frame] as number;
      return frame === except ? [] : [{ score, start_s, end_s: times_s[frame + 1] ?? Math.max(duration_s, start_s), frame }];
    });
  }
  const moments = findMoments(scores, times_s, duration_s, shots, scope === 'videos' ? { most: 1 } : {});
  return moments
    .filter(({ first, end }) => except === null || except < first || except >= end)
    .map(({ score, start_s, end_s, frame }) => ({ score, start_s, end_s, frame }));
}

/** The best `limit` of many hits, taken in a video at a time. */
export class BestHits<T extends Hit> {
  #best: T[] = [];

  constructor(private readonly limit: number) {}

  add(hits: readonly T[]): void {
    const floor = this.#best.length < this.limit ? -Infinity : (this.#best.at(-1)?.score ?? -Infinity);
    const better = hits.filter(({ score }) => score > floor);
    if (better.length > 0) this.#best = [...this.#best, ...better].sort((a, b) => b.score - a.score).slice(0, this.limit);
  }

  /** Best first. */
  get list(): readonly T[] {
    return this.#best;
  }
}
