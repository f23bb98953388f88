/** The answers of OpenAI's responses. */
import Type from 'typebox';
import { TextFormatSchema } from './chat-schemas.js';
import { ConfidenceSchema, MomentSchema, nullable, VideoErrorSchema } from './schemas.js';

const ResponseTextSchema = Type.Object({
  type: Type.Literal('output_text'),
  text: Type.String(),
  annotations: Type.Array(MomentSchema, { description: 'Of answers that say when.' }),
  confidence: ConfidenceSchema,
  logprobs: Type.Array(Type.Unknown(), { description: 'Always empty.' }),
});
export const ResponseOutputSchema = Type.Object({
  id: Type.String(),
  type: Type.Literal('message'),
  status: Type.Enum(['in_progress', 'completed', 'incomplete']),
  role: Type.Literal('assistant'),
  content: Type.Array(ResponseTextSchema),
});

/** An answer as OpenAI's responses have it, with the fields that its clients read; nothing of it is kept. */
export const ResponseSchema = Type.Object({
  id: Type.String(),
  object: Type.Literal('response'),
  created_at: Type.Integer({ description: 'Seconds since 1970.' }),
  completed_at: nullable(Type.Integer()),
  status: Type.Enum(['in_progress', 'completed', 'incomplete', 'failed'], { description: 'incomplete: the answer was cut at max_output_tokens.' }),
  background: Type.Literal(false),
  error: nullable(VideoErrorSchema),
  incomplete_details: nullable(Type.Object({ reason: Type.Literal('max_output_tokens') })),
  instructions: nullable(Type.String()),
  max_output_tokens: Type.Integer(),
  max_tool_calls: Type.Null(),
  model: Type.String(),
  output: Type.Array(ResponseOutputSchema),
  parallel_tool_calls: Type.Boolean(),
  previous_response_id: Type.Null(),
  reasoning: Type.Object({ effort: Type.Null(), summary: Type.Null() }),
  service_tier: Type.Literal('default'),
  store: Type.Literal(false),
  temperature: Type.Number(),
  text: Type.Object({ format: TextFormatSchema }),
  tool_choice: Type.Enum(['none', 'auto']),
  tools: Type.Array(Type.Unknown(), { maxItems: 0 }),
  top_logprobs: Type.Literal(0),
  top_p: Type.Number(),
  truncation: Type.Literal('auto'),
  usage: nullable(
    Type.Object({
      input_tokens: Type.Integer(),
      input_tokens_details: Type.Object({ cached_tokens: Type.Integer() }),
      output_tokens: Type.Integer(),
      output_tokens_details: Type.Object({ reasoning_tokens: Type.Literal(0) }),
      total_tokens: Type.Integer(),
    }),
  ),
  user: Type.Null(),
  metadata: Type.Record(Type.String(), Type.String()),
});
