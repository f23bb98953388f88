import { strictValidator } from '../api/check.js';
import { EmbeddingListSchema, EmbeddingRequestSchema, type EmbeddingRequest } from '../api/embedding-schemas.js';
import { ErrorSchema } from '../api/schemas.js';
import type { App } from '../api/typed.js';
import type { Caller } from '../access/caller.js';
import { checkModel } from '../chat/completion.js';
import { checkAskable, checkLength, videoIdOf } from '../chat/prompt.js';
import { ApiError } from '../errors.js';
import type { EmbedTask } from '../search/messages.js';
import type { Services } from '../services.js';
import { closing } from './answers.js';
import { checkSearchable, searchedVideo } from './search.js';

/** POST /v1/embeddings: texts and videos as vectors of the space that is searched. */
export function embeddingRoutes(app: App, services: Services): void {
  app.post(
    '/v1/embeddings',
    {
      validatorCompiler: strictValidator,
      schema: {
        tags: ['search'],
        summary:
          'Texts and videos (video://<id>) as vectors of one space, in which a text lies near the videos it tells of; OpenAI-compatible',
        body: EmbeddingRequestSchema,
        response: { 200: EmbeddingListSchema, '4xx': ErrorSchema, '5xx': ErrorSchema },
      },
    },
    async ({ body, caller }, reply) => {
      const gone = closing(reply);
      const tasks = tasksOf(services, body, caller);
      const data: { object: 'embedding'; index: number; embedding: number[] | string }[] = [];
      let tokens = 0;
      // One at a time, so that searches of others have their turn between two of them.
      for (const [index, task] of tasks.entries()) {
        gone.throwIfAborted();
        const { vector, tokens: read } = await services.inference.embed(task);
        tokens += read;
        data.push({
          object: 'embedding',
          index,
          embedding: body.encoding_format === 'base64' ? base64Of(vector) : [...vector],
        });
      }
      return {
        object: 'list' as const,
        data,
        model: services.model?.id ?? '',
        usage: { prompt_tokens: tokens, total_tokens: tokens },
      };
    },
  );
}

function tasksOf(services: Services, { model, input }: EmbeddingRequest, caller: Caller): EmbedTask[] {
  const { folder, limits } = services;
  checkModel(services.model?.id, model);
  const inputs = typeof input === 'string' ? [input] : input;
  if (inputs.length > limits.embeddingInputs) {
    throw new ApiError('invalid_request', {
      param: 'input',
      message: `The field "input" has ${inputs.length} entries; at most ${limits.embeddingInputs} are allowed.`,
    });
  }
  const library = services.library.seenBy(caller);
  return inputs.map((text, index) => {
    const param = typeof input === 'string' ? 'input' : `input[${index}]`;
    if (/^video:\/\//i.test(text)) {
      const id = videoIdOf(text, param);
      checkAskable({ library }, id, param);
      return { video: searchedVideo(folder, id) };
    }
    checkLength(text, limits, param);
    checkSearchable(text, param);
    return { text };
  });
}

/** As OpenAI writes it: 32-bit floats, little-endian. */
function base64Of(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4);
  vector.forEach((value, index) => bytes.writeFloatLE(value, index * 4));
  return bytes.toString('base64');
}
