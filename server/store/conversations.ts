import { isId, now_s } from '../ids.js';
import type { ContentPart, Item, MessageRole } from '../realtime/protocol.js';
import type { Store } from './database.js';

/** What is kept of a conversation besides its messages. */
export interface ConversationRow {
  readonly id: string;
  /** Id of the API key it belongs to; null: begun while there were none. */
  readonly owner: string | null;
  readonly created_s: number;
}

interface RawItem {
  readonly id: string;
  readonly role: MessageRole;
  readonly status: Item['status'];
  readonly content: string;
}

/** Conversations and their finished messages: what was added here is there after a kill. */
export class Conversations {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  find(id: string): ConversationRow | null {
    return isId('conv', id) ? this.#store.get<ConversationRow>('SELECT id, owner, created_s FROM conversations WHERE id = ?', id) : null;
  }

  items(conversationId: string): Item[] {
    return this.#store
      .all<RawItem>('SELECT id, role, status, content FROM items WHERE conversation_id = ? ORDER BY position', conversationId)
      .map((row) => ({
        id: row.id,
        object: 'realtime.item',
        type: 'message',
        role: row.role,
        status: row.status,
        content: JSON.parse(row.content) as ContentPart[],
      }));
  }

  /** Stores a finished message at the end of the conversation, which begins to exist with its first one. */
  addItem(conversation: Pick<ConversationRow, 'id' | 'owner'>, item: Item): void {
    this.#store.transaction(() => this.#insert(conversation, item));
  }

  #insert({ id: conversationId, owner }: Pick<ConversationRow, 'id' | 'owner'>, item: Item): void {
    this.#store.run('INSERT OR IGNORE INTO conversations (id, owner, created_s) VALUES (?, ?, ?)', conversationId, owner, now_s());
    this.#store.run(
      `INSERT INTO items (id, conversation_id, position, role, status, content, created_s)
       SELECT ?, ?, COALESCE(MAX(position), -1) + 1, ?, ?, ?, ? FROM items WHERE conversation_id = ?`,
      item.id,
      conversationId,
      item.role,
      item.status,
      JSON.stringify(item.content),
      now_s(),
      conversationId,
    );
  }

  /** True when the conversation had the item. */
  removeItem(conversationId: string, itemId: string): boolean {
    return this.#store.remove('DELETE FROM items WHERE id = ? AND conversation_id = ?', itemId, conversationId) > 0;
  }
}
