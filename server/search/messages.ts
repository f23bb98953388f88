import type { Hit, Scope } from '../../model/retrieval/index.js';

/** A video that is searched: the worker reads its latents from the container itself. */
export interface SearchedVideo {
  readonly id: string;
  /** The container on disk. */
  readonly file: string;
  /** Where its vectors are kept. */
  readonly vectorsFile: string;
}

export interface SearchTask {
  readonly query: { readonly text: string } | { readonly like: { readonly video: SearchedVideo; readonly frame: number } };
  readonly videos: readonly SearchedVideo[];
  /** Whether the caller named the videos: then one that cannot be searched is an error, else it is passed over. */
  readonly named: boolean;
  readonly scope: Scope;
  /** Most results. */
  readonly limit: number;
}

/** A text or a video that is to become a vector of the search space. */
export type EmbedTask = { readonly text: string } | { readonly video: SearchedVideo };

export interface Embedding {
  /** A unit vector. */
  readonly vector: Float32Array;
  /** Tokens that were read for it; none of a video. */
  readonly tokens: number;
}

export interface SearchHit extends Hit {
  /** Id of the video. */
  readonly video: string;
}
