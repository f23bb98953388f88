/** Search over opened videos: in Node and in the browser. */
import { queryText, searchVideos, vectorOf, type IndexedVideo, type MomentSearch, type SearchOptions, type VideoHit } from '../../model/retrieval/index.js';
import type { LinrVideo } from '../../model/video/linr-video.js';
import { CodedError } from '../../model/runtime/coded-error.js';

/** Words, or a frame of a video: what is like it is looked for. */
export type VideoQuery = string | { readonly like: LinrVideo; readonly frame?: number };

/** A video among those that are searched. `video` may be opened late, when its turn comes. */
export interface Candidate {
  readonly id: string;
  video(): Promise<LinrVideo>;
}

/** Thrown for a search that looks for nothing, or for a frame that does not exist. */
export class SearchError extends CodedError {
  override readonly name = 'SearchError';

  constructor(
    readonly code: 'empty_query' | 'frame_not_found',
    message: string,
  ) {
    super(message);
  }
}

/** What is searched of a video, made once for each pair of video and towers. */
const indexes = new WeakMap<MomentSearch, WeakMap<LinrVideo, Promise<IndexedVideo>>>();

export function indexOf(video: LinrVideo, towers: MomentSearch): Promise<IndexedVideo> {
  const ofTowers = indexes.get(towers) ?? new WeakMap<LinrVideo, Promise<IndexedVideo>>();
  indexes.set(towers, ofTowers);
  const known = ofTowers.get(video) ?? towers.index(video);
  ofTowers.set(video, known);
  return known;
}

/**
 * The best hits in all candidates, best first.
 * @throws SearchError, and as searchVideos
 */
export async function searchCandidates(
  candidates: readonly Candidate[],
  query: VideoQuery,
  towers: MomentSearch,
  options: SearchOptions = {},
): Promise<readonly VideoHit[]> {
  const asked = typeof query === 'string' ? { vector: await wordsVector(query, towers) } : await frameQuery(query.like, query.frame ?? 0, towers);
  const videos = candidates.map(({ id, video }) => ({ id, index: async () => indexOf(await video(), towers) }));
  return searchVideos(videos, asked, options);
}

async function wordsVector(words: string, towers: MomentSearch): Promise<Float32Array> {
  if (queryText(words) === '') throw new SearchError('empty_query', 'There is nothing to look for: the query has no letter in it.');
  return towers.textVector(words);
}

async function frameQuery(like: LinrVideo, frame: number, towers: MomentSearch): Promise<Parameters<typeof searchVideos>[1]> {
  const { frames } = like;
  if (!(Number.isInteger(frame) && frame >= 0 && frame < frames)) {
    throw new SearchError('frame_not_found', `${like.id} has ${frames} ${frames === 1 ? 'frame' : 'frames'}, from 0; there is no frame ${frame}.`);
  }
  return { vector: vectorOf((await indexOf(like, towers)).vectors, frame), except: { video: like.id, frame } };
}
