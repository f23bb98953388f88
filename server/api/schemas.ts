import Type, { type Static, type TSchema } from 'typebox';
import { SCOPES } from '../../model/retrieval/hits.js';
import { optional } from './openai-fields.js';

/** `T | null` in JSON schema. */
export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

export const ErrorSchema = Type.Object({
  error: Type.Object({
    code: Type.String({ description: 'A stable code, such as video_not_found.' }),
    message: Type.String({ description: 'One sentence: what is wrong and what to do.' }),
    type: Type.String(),
    param: nullable(Type.String({ description: 'The field that is wrong.' })),
  }),
});

export const VideoErrorSchema = Type.Object({ code: Type.String(), message: Type.String() });

export const VideoProgressSchema = Type.Object({
  stage: Type.Enum(['frames', 'features', 'training', 'writing']),
  done: Type.Number(),
  total: Type.Number({ description: '0 where it is not known yet.' }),
  unit: Type.Enum(['frames', 'seconds']),
  psnr_db: nullable(Type.Number()),
  frames_per_s: nullable(Type.Number()),
  eta_s: nullable(Type.Number({ description: 'Seconds left, as far as known.' })),
});
export type VideoProgress = Static<typeof VideoProgressSchema>;

export const VideoSchema = Type.Object({
  id: Type.String(),
  object: Type.Literal('video'),
  name: Type.String({ description: 'The file name it was uploaded under.' }),
  kind: Type.Enum(['video', 'photo']),
  state: Type.Enum(['queued', 'reading', 'training', 'ready', 'failed'], {
    description:
      'queued: waits for the encoder; reading: frames and features are computed; ' +
      'training: the pictures are learned, in the background; ready: the final container is there; failed: see error.',
  }),
  askable: Type.Boolean({ description: 'True as soon as questions about it can be answered, whatever its state.' }),
  demo: Type.Boolean({ description: 'True for a video that came with the server.' }),
  created: Type.Number({ description: 'Seconds since 1970.' }),
  width: nullable(Type.Integer({ description: 'Size of the original in pixels.' })),
  height: nullable(Type.Integer()),
  frames: nullable(Type.Integer()),
  duration_s: nullable(Type.Number()),
  warnings: Type.Array(Type.String(), { description: 'What of the original could not be read, or was left out, in sentences.' }),
  source_bytes: nullable(Type.Integer({ description: 'Size of the original file; null where only a container was given and it does not say.' })),
  container_bytes: nullable(Type.Integer({ description: 'Size of the .linr as it is now.' })),
  container_version: nullable(Type.String({ description: 'Changes whenever the container does; also its ETag.' })),
  container_stage: nullable(
    Type.Enum(['latents', 'checkpoint', 'final'], {
      description: 'latents: can be asked about, no pictures yet; checkpoint: decodes, still in training; final: done.',
    }),
  ),
  encoded_width: nullable(Type.Integer({ description: 'Size the container decodes to by default, in pixels.' })),
  encoded_height: nullable(Type.Integer()),
  encoded_frames: nullable(Type.Integer({ description: 'Frames in the container: a long video is sampled.' })),
  psnr_db: nullable(Type.Number({ description: 'Quality of the pictures as far as measured.' })),
  progress: nullable(VideoProgressSchema),
  error: nullable(VideoErrorSchema),
});
/** One video as `GET /v1/videos/{id}` and the event `video.progress` give it. */
export type Video = Static<typeof VideoSchema>;

export const VideoListSchema = Type.Object({ object: Type.Literal('list'), data: Type.Array(VideoSchema) });

export const ShotListSchema = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(
    Type.Object({
      start_s: Type.Number(),
      end_s: Type.Number(),
      first: Type.Integer({ description: 'Its first frame, from 0, among the encoded ones.' }),
      end: Type.Integer({ description: 'The frame after its last.' }),
    }),
  ),
});

export const HealthSchema = Type.Object({
  status: Type.Literal('ok'),
  version: Type.String(),
  uptime_s: Type.Number(),
  model: Type.Object({
    id: nullable(Type.String()),
    status: Type.Enum(['loading', 'ready', 'failed']),
  }),
  encoding: Type.Object({ running: Type.Integer(), waiting: Type.Integer() }),
});

export const ReadySchema = Type.Object({ status: Type.Literal('ready') });

export const ModelSchema = Type.Object({ id: Type.String(), object: Type.Literal('model'), created: Type.Integer(), owned_by: Type.String() });
export const ModelListSchema = Type.Object({ object: Type.Literal('list'), data: Type.Array(ModelSchema) });

export const UsageSchema = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Object({ cached_tokens: Type.Integer() }),
});
export type Usage = Static<typeof UsageSchema>;

const strict = { additionalProperties: false };

export const SearchRequestSchema = Type.Object(
  {
    text: Type.Optional(Type.String({ description: 'What to look for, in words. Either this or like.' })),
    like: Type.Optional(
      Type.Object(
        { video: Type.String({ maxLength: 100 }), frame: Type.Integer({ minimum: 0, description: 'Of the encoded frames, from 0.' }) },
        { ...strict, description: 'A frame whose like is looked for; what holds it itself is left out.' },
      ),
    ),
    videos: Type.Optional(
      Type.Array(Type.String({ maxLength: 100 }), { minItems: 1, maxItems: 10_000, description: 'Ids of the videos to search. Default: all that can be asked about.' }),
    ),
    scope: Type.Optional(
      Type.Enum([...SCOPES], { description: 'frames: single frames; segments (the default): moments, runs of frames that belong together; videos: the best moment of each video.' }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'Most results. Default 10.' })),
  },
  strict,
);
export type SearchRequest = Static<typeof SearchRequestSchema>;

export const SearchResultSchema = Type.Object({
  video: Type.String({ description: 'Id of the video.' }),
  name: Type.String(),
  score: Type.Number({ description: 'Cosine, from -1 to 1. Comparable within one search; what counts as a hit differs from text to text.' }),
  start_s: Type.Number(),
  end_s: Type.Number(),
  frame: Type.Integer({ description: 'The frame that fits best, from 0.' }),
});
export type SearchResult = Static<typeof SearchResultSchema>;

export const SearchResultsSchema = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(SearchResultSchema, { description: 'Best first.' }),
});

/** A moment an answer names. */
export const MomentSchema = Type.Object({
  type: Type.Literal('moment'),
  video: Type.String({ description: 'Id of the video.' }),
  start_s: Type.Number({ minimum: 0 }),
  end_s: Type.Number({ minimum: 0 }),
  score: Type.Optional(Type.Number({ description: "Cosine of its frames with the question's words; none where the question named the part itself." })),
});

/** How likely an answer is right. */
export const ConfidenceSchema = nullable(
  Type.Number({
    minimum: 0,
    maximum: 1,
    description: 'Chance that the answer is right. null: no video stands behind it, it is long or in a form, or the model pack cannot tell.',
  }),
);

export const ChatCompletionSchema = Type.Object({
  id: Type.String(),
  object: Type.Literal('chat.completion'),
  created: Type.Integer(),
  model: Type.String(),
  choices: Type.Array(
    Type.Object({
      index: Type.Integer(),
      message: Type.Object({
        role: Type.Literal('assistant'),
        content: Type.String(),
        refusal: Type.Null(),
        annotations: Type.Array(MomentSchema, { description: 'Of answers that say when.' }),
        confidence: ConfidenceSchema,
      }),
      finish_reason: Type.Enum(['stop', 'length']),
      logprobs: Type.Null(),
    }),
  ),
  usage: UsageSchema,
});

export const FileSchema = Type.Object({
  id: Type.String(),
  object: Type.Literal('file'),
  bytes: Type.Integer(),
  created_at: Type.Integer({ description: 'Seconds since 1970.' }),
  expires_at: Type.Integer(),
  filename: Type.String(),
  purpose: Type.Enum(['batch', 'batch_output']),
  status: Type.Literal('processed'),
});

export const FileDeletedSchema = Type.Object({ id: Type.String(), object: Type.Literal('file'), deleted: Type.Literal(true) });

/** A page of a list, as OpenAI's clients turn it. */
export const pageSchema = <T extends TSchema>(schema: T) =>
  Type.Object({ object: Type.Literal('list'), data: Type.Array(schema), first_id: nullable(Type.String()), last_id: nullable(Type.String()), has_more: Type.Boolean() });
export const FilePageSchema = pageSchema(FileSchema);

const when = (description: string) => nullable(Type.Integer({ description: `Seconds since 1970 when ${description}.` }));

export const BatchSchema = Type.Object({
  id: Type.String(),
  object: Type.Literal('batch'),
  endpoint: Type.Literal('/v1/chat/completions'),
  input_file_id: Type.String(),
  completion_window: Type.Literal('24h'),
  status: Type.Enum(['validating', 'failed', 'in_progress', 'finalizing', 'completed', 'expired', 'cancelling', 'cancelled'], {
    description: 'failed: the input is wrong, see errors, and nothing was asked; expired: not all lines had their turn in time.',
  }),
  errors: nullable(
    Type.Object({
      object: Type.Literal('list'),
      data: Type.Array(
        Type.Object({ code: Type.String(), message: Type.String(), param: nullable(Type.String()), line: nullable(Type.Integer({ description: 'Of the input file, from 1.' })) }),
      ),
    }),
  ),
  output_file_id: nullable(Type.String({ description: 'File of the answers, in the order of the input; null where there are none.' })),
  error_file_id: nullable(Type.String({ description: 'File of the lines that could not be answered; null where there are none.' })),
  created_at: Type.Integer({ description: 'Seconds since 1970.' }),
  in_progress_at: when('its first line was asked'),
  expires_at: when('it ends even if it is not finished'),
  finalizing_at: when('its last line was answered'),
  completed_at: when('its files were there'),
  failed_at: when('its input was found to be wrong'),
  expired_at: when('it ran out of time'),
  cancelling_at: when('it was cancelled'),
  cancelled_at: when('the cancelling was done'),
  request_counts: Type.Object({ total: Type.Integer(), completed: Type.Integer(), failed: Type.Integer() }),
  metadata: nullable(Type.Record(Type.String(), Type.String())),
});
export type Batch = Static<typeof BatchSchema>;
export const BatchPageSchema = pageSchema(BatchSchema);

export const BatchRequestSchema = Type.Object(
  {
    input_file_id: Type.String({ maxLength: 100, description: 'A file uploaded to /v1/files with the purpose batch.' }),
    endpoint: Type.Literal('/v1/chat/completions'),
    completion_window: Type.Literal('24h'),
    metadata: optional(
      Type.Record(Type.String({ maxLength: 64 }), Type.String({ maxLength: 512 }), { maxProperties: 16, description: 'Up to 16 texts to find the batch by.' }),
    ),
  },
  strict,
);

/** How lists are turned over. */
export const PageQuerySchema = Type.Object(
  {
    after: Type.Optional(Type.String({ maxLength: 100, description: 'Id of the last one of the page before.' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, description: 'Default 20.' })),
  },
  strict,
);
/** Of lists that can be turned round. */
export const OrderedPageQuerySchema = Type.Object(
  { ...PageQuerySchema.properties, order: Type.Optional(Type.Enum(['asc', 'desc'], { description: 'By age; default desc, newest first.' })) },
  strict,
);
export const FilesQuerySchema = Type.Object(
  {
    ...OrderedPageQuerySchema.properties,
    purpose: Type.Optional(Type.String({ maxLength: 100 })),
  },
  strict,
);
