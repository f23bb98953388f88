/** The stored conversations over HTTP: OpenAI's fields, and what they take. */
import Type from 'typebox';
import { pageSchema } from '../api/schemas.js';
import { ItemSchema } from './server-events.js';

export const ConversationSchema = Type.Object({
  id: Type.String(),
  object: Type.Literal('conversation'),
  created_at: Type.Integer({ description: 'Seconds since 1970.' }),
  metadata: Type.Object({}, { additionalProperties: true }),
  messages: Type.Integer({ description: 'How many it has.' }),
  bytes: Type.Integer({ description: 'What its messages take in the store.' }),
});

export const ConversationPageSchema = pageSchema(ConversationSchema);
export const ItemPageSchema = pageSchema(ItemSchema);

export const ConversationDeletedSchema = Type.Object({ id: Type.String(), object: Type.Literal('conversation.deleted'), deleted: Type.Literal(true) });
