import { isId, now_s } from '../ids.js';
import type { ContentPart, Item, MessageRole } from '../realtime/protocol.js';
import type { Store } from './database.js';

/** What is kept of a conversation besides its messages. */
export interface ConversationRow {
  readonly id: string;
  /** Id of the API key it belongs to; null: begun while there were none. */
  readonly owner: string | null;
  readonly created_s: number;
  readonly messages: number;
  /** Of its messages, as they are stored. */
  readonly bytes: number;
  /** Seconds that the server ran since its last message. */
  readonly idle_s: number;
}

const columns = 'id, owner, created_s, messages, bytes, idle_s';

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
    return isId('conv', id) ? this.#store.get<ConversationRow>(`SELECT ${columns} FROM conversations WHERE id = ?`, id) : null;
  }

  /** Newest first. @param owner null: those that are nobody's; absent: all */
  list(owner?: string | null): ConversationRow[] {
    const order = 'ORDER BY created_s DESC, id';
    if (owner === undefined) return this.#store.all<ConversationRow>(`SELECT ${columns} FROM conversations ${order}`);
    return this.#store.all<ConversationRow>(`SELECT ${columns} FROM conversations WHERE owner IS ? ${order}`, owner);
  }

  /** What an owner has of them. */
  owned(owner: string | null): { readonly conversations: number; readonly bytes: number } {
    const sums = 'COUNT(*) AS conversations, COALESCE(SUM(bytes), 0) AS bytes';
    return this.#store.get(`SELECT ${sums} FROM conversations WHERE owner IS ?`, owner) ?? { conversations: 0, bytes: 0 };
  }

  remove(id: string): void {
    this.#store.remove('DELETE FROM conversations WHERE id = ?', id);
  }

  /** Counts time in which the server ran: a clock that is wrong at a start ages nothing. */
  age(seconds: number): void {
    this.#store.run('UPDATE conversations SET idle_s = idle_s + ?', seconds);
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
    const content = JSON.stringify(item.content);
    this.#store.run(
      `INSERT INTO items (id, conversation_id, position, role, status, content, created_s)
       SELECT ?, ?, COALESCE(MAX(position), -1) + 1, ?, ?, ?, ? FROM items WHERE conversation_id = ?`,
      item.id,
      conversationId,
      item.role,
      item.status,
      content,
      now_s(),
      conversationId,
    );
    this.#store.run('UPDATE conversations SET messages = messages + 1, bytes = bytes + ?, idle_s = 0 WHERE id = ?', Buffer.byteLength(content), conversationId);
  }

  /** True when the conversation had the item. */
  removeItem(conversationId: string, itemId: string): boolean {
    if (this.#store.remove('DELETE FROM items WHERE id = ? AND conversation_id = ?', itemId, conversationId) === 0) return false;
    // A part of the deletion: it has the same room on a full disk.
    this.#store.remove(
      `UPDATE conversations SET (messages, bytes) = (SELECT COUNT(*), COALESCE(SUM(LENGTH(CAST(content AS BLOB))), 0) FROM items WHERE conversation_id = ?1)
       WHERE id = ?1`,
      conversationId,
    );
    return true;
  }
}

/** Bytes that the content of a message takes in the store. */
export function contentBytes(content: readonly ContentPart[]): number {
  return Buffer.byteLength(JSON.stringify(content));
}
