import { owns, sees, type Caller } from '../access/caller.js';
import { ApiError } from '../errors.js';
import { newId } from '../ids.js';
import type { ConversationRow } from '../store/conversations.js';
import { LiveConversation, type ConversationContext } from './conversations.js';
import type { Item } from './protocol.js';

/** Conversations that sockets look at or that have a response in progress; all others lie in the store. */
export class ConversationHub {
  readonly #context: ConversationContext;
  readonly #live = new Map<string, LiveConversation>();

  constructor(context: ConversationContext) {
    this.#context = context;
  }

  /** Begins one that belongs to the caller. */
  create({ owner }: Caller): LiveConversation {
    return this.#add({ id: newId('conv'), owner }, []);
  }

  /** Throws `conversation_not_found`, for another's too. */
  open(id: string, caller: Caller, param = 'conversation'): LiveConversation {
    const live = this.#live.get(id);
    if (live && sees(caller, live)) return live;
    const row = this.row(id, caller, param);
    return this.#add(row, this.#context.store.items(id));
  }

  /** Those the caller may remove, newest first. What is nobody's is found by its id alone: somebody's questions are in it. */
  list(caller: Caller): ConversationRow[] {
    return caller.operator ? this.#context.store.list() : this.#context.store.list(caller.owner ?? '');
  }

  /** What is stored of it. Throws `conversation_not_found`, for another's too. */
  row(id: string, caller: Caller, param: string | null = null): ConversationRow {
    const row = this.#context.store.find(id);
    if (!row || !sees(caller, row)) throw new ApiError('conversation_not_found', { param });
    return row;
  }

  /** Its finished messages. Throws `conversation_not_found`. */
  items(id: string, caller: Caller): Item[] {
    return this.#context.store.items(this.row(id, caller).id);
  }

  /** Ends whatever goes on in it and removes it. Throws `conversation_not_found`, `operator_only`. */
  remove(id: string, caller: Caller): void {
    const row = this.row(id, caller);
    if (!owns(caller, row)) throw new ApiError('operator_only');
    this.#context.store.remove(row.id);
    this.#live.get(row.id)?.removed();
    this.#live.delete(row.id);
  }

  /** Counts time in which the server ran. */
  age(seconds: number): void {
    this.#context.store.age(seconds);
  }

  /** Removes those that nobody went on with, and those of keys that were removed. @param elapsed_s the server ran since the last call */
  removeExpired(elapsed_s: number): void {
    const { store, access, limits } = this.#context;
    this.age(elapsed_s);
    for (const { id, owner, idle_s } of store.list()) {
      if (!this.#live.has(id) && (access.isGone(owner) || idle_s > limits.conversationExpiry_s)) store.remove(id);
    }
  }

  #add({ id, owner }: Pick<ConversationRow, 'id' | 'owner'>, items: Item[]): LiveConversation {
    const conversation = new LiveConversation(this.#context, { id, owner }, items, () => {
      if (this.#live.get(id) === conversation) this.#live.delete(id);
    });
    this.#live.set(id, conversation);
    return conversation;
  }
}
