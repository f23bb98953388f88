import type { Caller } from '../access/caller.js';
import { strictValidator } from '../api/check.js';
import { ErrorSchema, SearchRequestSchema, SearchResultsSchema, type SearchRequest } from '../api/schemas.js';
import type { App } from '../api/typed.js';
import { checkAskable, checkLength } from '../chat/prompt.js';
import { ApiError } from '../errors.js';
import type { SearchedVideo, SearchTask } from '../search/messages.js';
import type { Services } from '../services.js';

/** Results when the request names no limit. */
const DEFAULT_LIMIT = 10;

/** POST /v1/search: moments, frames and videos for words, or for a frame. */
export function searchRoutes(app: App, services: Services): void {
  app.post(
    '/v1/search',
    {
      validatorCompiler: strictValidator,
      schema: {
        tags: ['search'],
        summary: 'Find frames, moments or videos by words, or like a frame. Videos can be found as soon as they can be asked about',
        body: SearchRequestSchema,
        response: { 200: SearchResultsSchema, '4xx': ErrorSchema, '5xx': ErrorSchema },
      },
    },
    async ({ body, caller }) => {
      const hits = await services.inference.search(taskOf(services, body, caller));
      return {
        object: 'list' as const,
        // A video that was deleted meanwhile has no name any more, and is nowhere to be found.
        data: hits.flatMap((hit) => {
          const video = services.library.find(hit.video);
          return video === null ? [] : [{ ...hit, name: video.name }];
        }),
      };
    },
  );
}

export function searchedVideo(folder: Services['folder'], id: string): SearchedVideo {
  return { id, file: folder.container(id), vectorsFile: folder.vectors(id) };
}

/** Throws `empty_question` for a text without a word. */
export function checkSearchable(text: string, param: string): void {
  if (!/[\p{L}\p{N}]/u.test(text)) throw new ApiError('empty_question', { param, message: `The field "${param}" has no words. Write what to look for.` });
}

function taskOf(services: Services, { text, like, videos, scope = 'segments', limit = DEFAULT_LIMIT }: SearchRequest, caller: Caller): SearchTask {
  const { folder, limits } = services;
  const library = services.library.seenBy(caller);
  if ((text === undefined) === (like === undefined)) {
    throw new ApiError('invalid_request', { param: 'text', message: 'A search needs either the field "text" or the field "like".' });
  }
  const checked = (id: string, param: string): SearchedVideo => {
    checkAskable({ library }, id, param);
    return searchedVideo(folder, id);
  };
  const among = videos === undefined
    ? library.list().filter(({ askable }) => askable).map(({ id }) => searchedVideo(folder, id))
    : [...new Set(videos)].map((id, i) => checked(id, `videos[${i}]`));
  const rest = { videos: among, named: videos !== undefined, scope, limit };
  if (like !== undefined) return { query: { like: { video: checked(like.video, 'like.video'), frame: like.frame } }, ...rest };
  const words = text ?? '';
  checkLength(words, limits, 'text');
  checkSearchable(words, 'text');
  return { query: { text: words }, ...rest };
}
