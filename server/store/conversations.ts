import { isId, now_s } from '../ids.js';
import type { ContentPart, Item, MessageRole } from '../realtime/protocol.js';
import type { Store } from './database.js';

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

  has(id: string): boolean {
    return isId('conv', id) && this.#store.get('SELECT id FROM conversations WHERE id = ?', id) !== null;
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
  addItem(conversationId: string, item: Item): void {
    this.#store.transaction(() => this.#insert(conversationId, item));
  }

  #insert(conversationId: string, item: Item): void {
    this.#store.run('INSERT OR IGNORE INTO conversations (id, created_s) VALUES (?, ?)', conversationId, now_s());
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
    return this.#store.run('DELETE FROM items WHERE id = ? AND conversation_id = ?', itemId, conversationId) > 0;
  }
}
