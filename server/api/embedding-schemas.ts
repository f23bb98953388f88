/** Requests for embeddings and their answers. */
import Type, { type Static } from 'typebox';
import { embeddingFields, optional } from './openai-fields.js';

const strict = { additionalProperties: false };

export const EmbeddingRequestSchema = Type.Object(
  {
    model: optional(Type.String({ maxLength: 200 })),
    input: Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })], { description: 'Texts, and videos as video://<id>. Texts only, no lists of tokens.' }),
    encoding_format: optional(Type.Enum(['float', 'base64'], { description: 'base64: of 32-bit floats, little-endian. Default float.' })),
    ...embeddingFields,
  },
  strict,
);
export type EmbeddingRequest = Static<typeof EmbeddingRequestSchema>;

export const EmbeddingListSchema = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(
    Type.Object({
      object: Type.Literal('embedding'),
      index: Type.Integer({ description: 'Of the input, from 0.' }),
      embedding: Type.Union([Type.Array(Type.Number()), Type.String()], { description: 'A unit vector.' }),
    }),
  ),
  model: Type.String(),
  usage: Type.Object({ prompt_tokens: Type.Integer({ description: 'Of the texts; videos count none.' }), total_tokens: Type.Integer() }),
});
