/** What a client asks for an answer with, over every route that gives one. */
import Type, { type Static } from 'typebox';
import { chatFields, messageFields, optional, partFields, responseFields } from './openai-fields.js';

const strict = { additionalProperties: false };

const address = Type.String({
  description:
    'video://<id> of an upload, data:<type>;base64,<bytes>, or an http(s) address where the server may fetch from its host.',
});
const addressed = Type.Union([
  address,
  Type.Object(
    {
      url: address,
      detail: optional(Type.String({ description: 'Accepted: every frame and photo is read at one size.' })),
    },
    strict,
  ),
]);

/** Text, by the names that chat completions, responses and the socket have for it. */
const TextPart = Type.Object(
  {
    type: Type.Enum(['text', 'input_text', 'output_text']),
    text: Type.String(),
    annotations: optional(Type.Array(Type.Unknown()), { description: 'Accepted: of an answer that is sent back.' }),
    logprobs: optional(Type.Array(Type.Unknown()), { description: 'Accepted: of an answer that is sent back.' }),
    confidence: optional(Type.Number(), { description: 'Accepted: of an answer that is sent back.' }),
    ...partFields,
  },
  strict,
);
const RefusalPart = Type.Object({ type: Type.Literal('refusal'), refusal: Type.String(), ...partFields }, strict);
const VideoUrlPart = Type.Object({ type: Type.Literal('video_url'), video_url: addressed, ...partFields }, strict);
/** A photo, as OpenAI's chat completions name it. */
const ImageUrlPart = Type.Object({ type: Type.Literal('image_url'), image_url: addressed, ...partFields }, strict);
/** A photo, as OpenAI's responses name it. */
const InputImagePart = Type.Object(
  {
    type: Type.Literal('input_image'),
    image_url: addressed,
    detail: optional(Type.String({ description: 'Accepted: every frame and photo is read at one size.' })),
    ...partFields,
  },
  strict,
);
const bytes = Type.String({ description: 'The bytes of the file in base64, or a data: address.' });
/** A video by its bytes or its address. */
const InputVideoPart = Type.Object(
  {
    type: Type.Literal('input_video'),
    input_video: optional(
      Type.Object(
        {
          data: optional(bytes),
          url: optional(address),
          format: optional(Type.String({ description: 'Accepted: the file is read as what its bytes are.' })),
        },
        strict,
      ),
    ),
    data: optional(bytes),
    url: optional(address),
    video_url: optional(addressed),
    video: optional(address),
    video_id: optional(Type.String({ description: 'Id of an upload.' })),
    ...partFields,
  },
  strict,
);

export const ContentPartSchema = Type.Union([
  TextPart,
  RefusalPart,
  VideoUrlPart,
  InputVideoPart,
  ImageUrlPart,
  InputImagePart,
]);
export type RequestPart = Static<typeof ContentPartSchema>;

export const ContentSchema = Type.Union([Type.String(), Type.Array(ContentPartSchema, { maxItems: 64 })]);

const AskingMessage = Type.Object(
  { role: Type.Enum(['system', 'developer', 'user']), content: ContentSchema, ...messageFields },
  strict,
);
/** An answer may be sent back as it came, from this server or another, with whatever its client has added. */
const AnswerMessage = Type.Object(
  {
    role: Type.Literal('assistant'),
    content: optional(ContentSchema),
    refusal: optional(Type.String({ description: 'Read as the text where there is no content.' })),
    ...messageFields,
  },
  { description: 'Further fields that an answer came with are passed over.' },
);
const ChatMessageSchema = Type.Union([AskingMessage, AnswerMessage]);
export type RequestMessage = Static<typeof ChatMessageSchema>;

/** Ranges of sampling fields, the same over HTTP and the socket. */
export const sampling = {
  temperature: Type.Number({
    minimum: 0,
    maximum: 2,
    description: '0 (the default) always takes the likeliest token.',
  }),
  topP: Type.Number({
    minimum: 0,
    maximum: 1,
    description: 'Draws from the likeliest tokens that together have this probability; 0: from the likeliest alone.',
  }),
  seed: Type.Integer({ minimum: -(2 ** 53) + 1, maximum: 2 ** 53 - 1 }),
  penalty: Type.Number({ minimum: -2, maximum: 2 }),
};

/** What the sampler takes for a `top_p`: 0, which it knows no meaning for, becomes as little as keeps one token. */
export const nucleusOf = (topP: number | null | undefined): number => Math.max(topP ?? 1, Number.EPSILON);

const stopString = Type.String({ minLength: 1, maxLength: 100 });
/** What the formats of chat completions and responses say of a schema. */
const schemaFields = {
  name: Type.Optional(Type.String({ maxLength: 64 })),
  description: optional(Type.String()),
  schema: Type.Unknown({ description: 'A JSON schema. The answer always follows it.' }),
  strict: optional(Type.Boolean()),
};
const TextFormat = Type.Object({ type: Type.Literal('text') }, strict);
const ObjectFormat = Type.Object({ type: Type.Literal('json_object') }, strict);
const SchemaFormat = Type.Object(
  { type: Type.Literal('json_schema'), json_schema: Type.Object(schemaFields, strict) },
  strict,
);
const ChoiceFormat = Type.Object(
  {
    type: Type.Literal('choice'),
    choice: Type.Array(Type.String({ minLength: 1, maxLength: 500 }), { minItems: 1, maxItems: 100 }),
  },
  strict,
);

/** What an answer must be. The first three are OpenAI's; `choice` is ours. */
const ResponseFormatSchema = Type.Union([TextFormat, ObjectFormat, SchemaFormat, ChoiceFormat]);
export type ResponseFormat = Static<typeof ResponseFormatSchema>;

/** The same, as OpenAI's responses write it: a schema without a layer of its own. */
export const TextFormatSchema = Type.Union([
  TextFormat,
  ObjectFormat,
  Type.Object({ type: Type.Literal('json_schema'), ...schemaFields }, strict),
  ChoiceFormat,
]);

/** Whether events of a stream are padded, against eavesdroppers who measure them. */
const include_obfuscation = optional(Type.Boolean(), { description: 'Accepted: events are not padded.' });

export const ChatRequestSchema = Type.Object(
  {
    model: optional(Type.String({ maxLength: 200 })),
    messages: Type.Array(ChatMessageSchema, { minItems: 1 }),
    stream: optional(Type.Boolean()),
    stream_options: optional(Type.Object({ include_usage: optional(Type.Boolean()), include_obfuscation }, strict)),
    temperature: optional(sampling.temperature),
    top_p: optional(sampling.topP),
    seed: optional(sampling.seed),
    frequency_penalty: optional(sampling.penalty),
    presence_penalty: optional(sampling.penalty),
    max_tokens: optional(Type.Integer({ minimum: 1 })),
    max_completion_tokens: optional(Type.Integer({ minimum: 1, description: 'Goes before max_tokens.' })),
    stop: optional(Type.Union([stopString, Type.Array(stopString, { maxItems: 4 })])),
    response_format: optional(ResponseFormatSchema),
    caption: optional(
      Type.Boolean({
        description:
          "Whether the best caption of what is shown is searched for, and sent whole, instead of written word by word. true: only at temperature 0, without response_format and penalties. Default: where messages end with the model pack's own question for a caption.",
      }),
    ),
    ...chatFields,
  },
  strict,
);
export type ChatRequest = Static<typeof ChatRequestSchema>;

/** Of an answer that OpenAI's responses gave, or of a message to one. */
const ResponseMessage = Type.Object(
  {
    type: optional(Type.Literal('message')),
    id: optional(Type.String()),
    role: Type.Enum(['system', 'developer', 'user', 'assistant']),
    status: optional(Type.String()),
    phase: optional(Type.String()),
    content: ContentSchema,
  },
  strict,
);
/** What a model that reasons has sent; there is nothing to read in it. */
const ReasoningItem = Type.Object({ type: Type.Literal('reasoning') }, { description: 'Passed over.' });

export const ResponseRequestSchema = Type.Object(
  {
    model: optional(Type.String({ maxLength: 200 })),
    input: Type.Union([Type.String(), Type.Array(Type.Union([ResponseMessage, ReasoningItem]), { minItems: 1 })]),
    instructions: optional(Type.String()),
    stream: optional(Type.Boolean()),
    stream_options: optional(Type.Object({ include_obfuscation }, strict)),
    temperature: optional(sampling.temperature),
    top_p: optional(sampling.topP),
    max_output_tokens: optional(Type.Integer({ minimum: 1 })),
    text: optional(Type.Object({ format: optional(TextFormatSchema), verbosity: chatFields.verbosity }, strict)),
    ...responseFields,
  },
  strict,
);
export type ResponseRequest = Static<typeof ResponseRequestSchema>;
