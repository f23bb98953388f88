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

function taskOf(services: Services, { text, like, videos, scope = 'segments', limit = DEFAULT_LIMIT }: SearchRequest, caller: Caller): SearchTask {
  const { folder, limits } = services;
  const library = services.library.seenBy(caller);
  if ((text === undefined) === (like === undefined)) {
    throw new ApiError('invalid_request', { param: 'text', message: 'A search needs either the field "text" or the field "like".' });
  }
  const searched = (id: string): SearchedVideo => ({ id, file: folder.container(id), vectorsFile: folder.vectors(id) });
  const checked = (id: string, param: string): SearchedVideo => {
    checkAskable({ library }, id, param);
    return searched(id);
  };
  const among = videos === undefined
    ? library.list().filter(({ askable }) => askable).map(({ id }) => searched(id))
    : [...new Set(videos)].map((id, i) => checked(id, `videos[${i}]`));
  const rest = { videos: among, named: videos !== undefined, scope, limit };
  if (like !== undefined) return { query: { like: { video: checked(like.video, 'like.video'), frame: like.frame } }, ...rest };
  const words = text ?? '';
  checkLength(words, limits, 'text');
  if (!/[\p{L}\p{N}]/u.test(words)) throw new ApiError('empty_question', { param: 'text', message: 'The search has no words. Write what to look for.' });
  return { query: { text: words }, ...rest };
}
