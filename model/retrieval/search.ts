/** Search over several videos. */
import { BestHits, hitsOf, type Hit, type Scope } from './hits.js';
import type { IndexedVideo } from './moment-search.js';

/** What is looked for. */
export interface SearchQuery {
  /** The unit vector (dim) of words, or of a frame. */
  readonly vector: Float32Array;
  /** The frame it is the vector of: what holds it is left out of the results of its own video. */
  readonly except?: { readonly video: string; readonly frame: number };
}

/** A video among others, indexed when its turn comes. */
export interface SearchedVideo {
  readonly id: string;
  index(): Promise<IndexedVideo>;
}

/** A hit and the id of the video it is in. */
export type VideoHit = Hit & { readonly video: string };

export interface SearchOptions {
  /** What a result is: a single frame (`frames`), a moment (`segments`), or the best moment of each video (`videos`). Default: moments. */
  readonly scope?: Scope;
  /** Most results. Default 10. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
  /** Told how many videos have been searched, of how many. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Told of a video that cannot be used, which is then passed over. Default: the search fails with what is wrong with it. */
  readonly onUnusable?: (video: string, error: unknown) => void;
}

/**
 * The best hits of all videos, best first. Scores are cosines, comparable within one search.
 * @throws what a video that cannot be used throws, unless `onUnusable` is there to hear it; the signal's reason when it is aborted
 */
export async function searchVideos(
  videos: readonly SearchedVideo[],
  { vector, except }: SearchQuery,
  { scope = 'segments', limit = 10, signal, onProgress, onUnusable }: SearchOptions = {},
): Promise<readonly VideoHit[]> {
  const best = new BestHits<VideoHit>(limit);
  for (const [i, { id, index }] of videos.entries()) {
    signal?.throwIfAborted();
    try {
      const indexed = await index();
      const hits = hitsOf(indexed, vector, scope, except?.video === id ? except.frame : null);
      best.add(hits.map((hit) => ({ ...hit, video: id })));
    } catch (error) {
      signal?.throwIfAborted();
      if (onUnusable === undefined) throw error;
      onUnusable(id, error);
    }
    onProgress?.(i + 1, videos.length);
  }
  return best.list;
}
