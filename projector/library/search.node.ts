/** Search over opened videos and files, with the models of this program. */
import type { SearchOptions, VideoHit } from '../../model/retrieval/index.js';
import { LinrVideo } from '../../model/video/linr-video.js';
import { checkedVideo, framesToSearch, openAskable } from './askable.node.js';
import type { Models } from './models.js';
import { searchCandidates, type Candidate } from './search.js';
import { sharedModels, type ModelsOptions } from './shared-models.node.js';

/** An opened video, or the path of a container, a video or a photo. */
export type Searchable = LinrVideo | string;

/**
 * The moments that words tell of, or that are like a frame, in one or several videos; best first.
 *
 * A path is opened when its turn comes: of a video that is no container yet, two frames a second go through the vision tower first. Encode
 * a video, or open it with `encodeLatents`, to search it quickly and often.
 *
 * @param query words, or `{ like, frame }` for what is like a frame of a video
 * @returns hits as `{ video, start_s, end_s, frame, score }`: the id of an opened video or the path given, seconds, the best frame, a cosine
 * @throws SearchError for an empty query and a frame that does not exist
 * @throws PromptError `wrong_pack` for a video of another feature space, PackError for a pack that cannot be searched
 * @throws FrameSourceError or ContainerError naming a file that cannot be used, unless `onUnusable` hears of it; the signal's reason
 */
export async function search(
  videos: Searchable | readonly Searchable[],
  query: string | { readonly like: Searchable; readonly frame?: number },
  options: SearchOptions & ModelsOptions = {},
): Promise<readonly VideoHit[]> {
  return searchFiles(videos, query, await sharedModels(options), options);
}

/** As search, with models of the caller's. */
export async function searchFiles(
  videos: Searchable | readonly Searchable[],
  query: string | { readonly like: Searchable; readonly frame?: number },
  models: Models,
  options: SearchOptions,
): Promise<readonly VideoHit[]> {
  const { signal } = options;
  const all = typeof videos === 'string' || videos instanceof LinrVideo ? [videos] : videos;
  const candidates = all.map((video): Candidate => ({ id: idOf(video), video: () => toSearch(video, models, signal) }));
  const asked = typeof query === 'string' ? query : { ...query, like: await toSearch(query.like, models, signal) };
  return searchCandidates(candidates, asked, await models.search(), options);
}

const idOf = (video: Searchable): string => (typeof video === 'string' ? video : video.id);

async function toSearch(video: Searchable, models: Models, signal: AbortSignal | undefined): Promise<LinrVideo> {
  if (video instanceof LinrVideo) return checkedVideo(video, models);
  return (await openAskable(video, models, { frames: framesToSearch, ...(signal === undefined ? {} : { signal }) })).video;
}
