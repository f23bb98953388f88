import Type from 'typebox';
import { ErrorSchema, OrderedPageQuerySchema, PageQuerySchema } from '../api/schemas.js';
import type { App } from '../api/typed.js';
import { ConversationDeletedSchema, ConversationPageSchema, ConversationSchema, ItemPageSchema } from '../realtime/conversation-schemas.js';
import type { ConversationHub } from '../realtime/hub.js';
import type { ContentPart } from '../realtime/protocol.js';
import type { ConversationRow } from '../store/conversations.js';
import { pageOf } from './pages.js';

const Params = Type.Object({ id: Type.String({ maxLength: 100 }) });

/** The stored conversations of the caller: they are held over the socket, and read and removed here, as OpenAI's clients do it. */
export function conversationRoutes(app: App, hub: ConversationHub): void {
  const errors = { '4xx': ErrorSchema, '5xx': ErrorSchema };
  const tags = ['conversations'];

  app.get(
    '/v1/conversations',
    { schema: { tags, summary: "The caller's stored conversations, newest first", querystring: PageQuerySchema, response: { 200: ConversationPageSchema, ...errors } } },
    ({ query, caller }) => pageOf(hub.list(caller), query, present),
  );

  app.get(
    '/v1/conversations/:id',
    { schema: { tags, summary: 'One conversation, without its messages', params: Params, response: { 200: ConversationSchema, ...errors } } },
    ({ params, caller }) => present(hub.row(params.id, caller)),
  );

  app.get(
    '/v1/conversations/:id/items',
    { schema: { tags, summary: 'The messages of a conversation, newest first', params: Params, querystring: OrderedPageQuerySchema, response: { 200: ItemPageSchema, ...errors } } },
    ({ params, query, caller }) => {
      const items = hub.items(params.id, caller);
      return pageOf(query.order === 'asc' ? items : items.reverse(), query, (item) => ({ ...item, content: item.content.map(copied) }));
    },
  );

  app.delete(
    '/v1/conversations/:id',
    { schema: { tags, summary: 'Remove a conversation and its messages', params: Params, response: { 200: ConversationDeletedSchema, ...errors } } },
    ({ params: { id }, caller }) => {
      hub.remove(id, caller);
      return { id, object: 'conversation.deleted' as const, deleted: true as const };
    },
  );
}

/** Schemas have no read-only lists. */
function copied(part: ContentPart) {
  return part.type === 'output_text' ? { ...part, annotations: [...part.annotations] } : part;
}

function present({ id, created_s, messages, bytes }: ConversationRow) {
  return { id, object: 'conversation' as const, created_at: Math.floor(created_s), metadata: {}, messages, bytes };
}
