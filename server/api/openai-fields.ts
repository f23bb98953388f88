/**
 * The fields of OpenAI's requests that change nothing here, in one table for every route that speaks that API: what
 * each is taken as, and why there is no more. Those marked `accepted` are passed over. Those marked `only` are taken
 * where they ask for what happens anyway; any other value would be disobeyed, so it is refused by the field's name.
 * Every field may also be null.
 */
import Type, { type TSchema, type TSchemaOptions } from 'typebox';
import { REFUSAL } from './check.js';

/** `T | null`, or left out: clients send null for what they do not set. */
export const optional = <T extends TSchema>(schema: T, options: TSchemaOptions = {}) =>
  Type.Optional(Type.Union([schema, Type.Null()], options));

const accepted = <T extends TSchema>(schema: T, description: string) => optional(schema, { description });

/** @param refusal what is said of any other value, after the field's name */
export const only = <T extends TSchema>(schema: T, refusal: string) =>
  optional(schema, { description: `Not supported: it ${refusal}`, [REFUSAL]: refusal });

const shortText = Type.String({ maxLength: 512 });
const nothing = Type.Array(Type.Unknown(), { maxItems: 0 });
const anything = Type.Unknown();
const NO_TOOLS = 'must be empty: this server calls no tools.';
const NO_SOUND = 'must be left out: this server writes text only.';

/** Of chat completions and responses alike. */
const ofAnswers = {
  user: accepted(shortText, 'Accepted: requests are told apart by their key.'),
  safety_identifier: accepted(shortText, 'Accepted: requests are told apart by their key.'),
  metadata: accepted(
    Type.Record(Type.String({ maxLength: 64 }), Type.String({ maxLength: 512 }), { maxProperties: 16 }),
    'Accepted: answers are not kept, so there is nothing to find by it.',
  ),
  store: accepted(Type.Boolean(), 'Accepted: answers are not kept, whatever it says.'),
  service_tier: accepted(shortText, 'Accepted: there is one tier.'),
  prompt_cache_key: accepted(shortText, 'Accepted: prompts are cached by what they hold.'),
  prompt_cache_retention: accepted(shortText, 'Accepted: prompts are cached as long as there is room.'),
  prompt_cache_options: accepted(anything, 'Accepted: prompts are cached by what they hold.'),
  parallel_tool_calls: accepted(Type.Boolean(), 'Accepted: no tools are called.'),
  tools: only(nothing, NO_TOOLS),
  tool_choice: only(Type.Enum(['none', 'auto']), 'must be "none" or "auto": this server calls no tools.'),
  top_logprobs: only(Type.Literal(0), 'must be 0: this server tells no probabilities.'),
  moderation: only(Type.Never(), 'must be left out: this server does not moderate.'),
};

/** Of `POST /v1/chat/completions`. */
export const chatFields = {
  ...ofAnswers,
  reasoning_effort: accepted(shortText, 'Accepted: the model answers without reasoning first.'),
  verbosity: accepted(shortText, 'Accepted, without effect; max_tokens bounds an answer.'),
  prediction: accepted(anything, 'Accepted: it could only make the same answer faster.'),
  modalities: only(
    Type.Array(Type.Literal('text'), { maxItems: 1 }),
    'must be ["text"]: this server writes text only.',
  ),
  audio: only(Type.Never(), NO_SOUND),
  logprobs: only(Type.Literal(false), 'must be false: this server tells no probabilities.'),
  logit_bias: only(
    Type.Record(Type.String(), Type.Literal(0)),
    'must be empty: this server does not bias single tokens.',
  ),
  functions: only(nothing, NO_TOOLS),
  function_call: only(Type.Enum(['none', 'auto']), 'must be "none" or "auto": this server calls no tools.'),
  web_search_options: only(Type.Never(), 'must be left out: this server searches no web.'),
  n: optional(Type.Literal(1), { description: 'One answer a request. Ask again, with another seed, for another one.' }),
};

/** Of `POST /v1/responses`. */
export const responseFields = {
  ...ofAnswers,
  reasoning: accepted(anything, 'Accepted: the model answers without reasoning first.'),
  truncation: accepted(
    Type.Enum(['auto', 'disabled']),
    'Accepted: of a conversation that is too long the oldest turns are left out.',
  ),
  max_tool_calls: accepted(Type.Integer(), 'Accepted: no tools are called.'),
  include: only(
    Type.Array(
      Type.Enum([
        'reasoning.encrypted_content',
        'file_search_call.results',
        'web_search_call.results',
        'web_search_call.action.sources',
        'computer_call_output.output.image_url',
        'code_interpreter_call.outputs',
        'message.input_image.image_url',
      ]),
    ),
    'may name nothing that an answer has here: this server tells no probabilities.',
  ),
  background: only(
    Type.Literal(false),
    'must be false: an answer is written while its request waits. /v1/batches answers in the background.',
  ),
  previous_response_id: only(
    Type.Never(),
    'must be left out: responses are not kept. Send the conversation\'s messages in "input".',
  ),
  conversation: only(Type.Never(), 'must be left out: send the conversation\'s messages in "input".'),
  prompt: only(Type.Never(), 'must be left out: this server keeps no prompts. Send "instructions" and "input".'),
  context_management: only(nothing, 'must be empty: of a conversation that is too long the oldest turns are left out.'),
};

/** Of a message, in a chat completion. What comes back in an answer may be sent as it is. */
export const messageFields = {
  name: accepted(shortText, 'Accepted: the model is not told names.'),
  tool_calls: only(nothing, NO_TOOLS),
  function_call: only(Type.Never(), NO_TOOLS),
  audio: only(Type.Never(), 'must be left out: this server hears nothing.'),
  confidence: accepted(Type.Number(), 'Accepted: of an answer that is sent back.'),
};

/** Of a part of a message. */
export const partFields = {
  cache_control: accepted(anything, 'Accepted: prompts are cached by what they hold.'),
  prompt_cache_breakpoint: accepted(anything, 'Accepted: prompts are cached by what they hold.'),
};

/** Of `POST /v1/embeddings`. */
export const embeddingFields = {
  user: ofAnswers.user,
  dimensions: only(Type.Never(), 'must be left out: the vectors of this server have one size.'),
};

/** Of `session` and `response`, over the socket. */
export const realtimeFields = {
  output_modalities: chatFields.modalities,
  modalities: chatFields.modalities,
  metadata: ofAnswers.metadata,
  parallel_tool_calls: ofAnswers.parallel_tool_calls,
  tools: ofAnswers.tools,
  tool_choice: ofAnswers.tool_choice,
  reasoning: responseFields.reasoning,
  audio: accepted(anything, 'Accepted: there is no sound, so it has no effect.'),
  voice: accepted(shortText, 'Accepted: there is no sound, so it has no effect.'),
  speed: accepted(Type.Number(), 'Accepted: there is no sound, so it has no effect.'),
  input_audio_format: accepted(shortText, 'Accepted: there is no sound, so it has no effect.'),
  output_audio_format: accepted(shortText, 'Accepted: there is no sound, so it has no effect.'),
  input_audio_transcription: accepted(anything, 'Accepted: there is no sound, so it has no effect.'),
  input_audio_noise_reduction: accepted(anything, 'Accepted: there is no sound, so it has no effect.'),
  turn_detection: accepted(
    anything,
    'Accepted: there is no sound, so it has no effect. A response begins with response.create.',
  ),
  tracing: accepted(anything, 'Accepted: nothing is traced.'),
  truncation: accepted(anything, 'Accepted: of a conversation that is too long the oldest turns are left out.'),
  include: accepted(Type.Array(Type.String()), 'Accepted: there is no sound, so it has no effect.'),
  prompt: responseFields.prompt,
};
