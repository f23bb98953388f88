import type { Annotation, ClientEvent, Conversation as WireConversation, Item, ResponseObject, ServerEvent } from '../sdk/index.js';
import type { Backend } from './backend.js';
import type { ConversationMemory } from './conversations.js';
import { reason } from './library.js';
import { Signal } from './signal.js';
import { text } from './strings.js';

/** `waiting`: no word yet; `cut`: ended at the length limit. */
export type MessageStatus = 'waiting' | 'streaming' | 'complete' | 'stopped' | 'cut' | 'failed';

export interface Message {
  /** The server's item id, once known. */
  id: string | null;
  readonly role: 'user' | 'assistant';
  text: string;
  status: MessageStatus;
  error: string | null;
  timing: string | null;
  /** Moments of the video that the answer speaks of. */
  moments: readonly Annotation[];
}

/** What changed: one message's text or status, or with null the list of messages. */
export type ConversationChange = Message | null;

let nextEvent = 1;

/** The conversation about one video, kept on the server; survives reloads and broken connections. */
export class Conversation {
  readonly changed = new Signal<ConversationChange>();
  readonly videoId: string;
  readonly #backend: Backend;
  readonly #memory: ConversationMemory;
  #messages: Message[] = [];
  #id: string | null;
  /** The connection this conversation was last read on, so that each connection reads it once. */
  #current = false;
  #responseId: string | null = null;
  /** The answer was stopped after it was asked for and before the server had named it. */
  #stopWhenNamed = false;
  /** Ids of client events whose errors end the running answer. */
  readonly #asking = new Set<string>();

  constructor(videoId: string, backend: Backend, memory: ConversationMemory) {
    this.videoId = videoId;
    this.#backend = backend;
    this.#memory = memory;
    this.#id = memory.get(videoId);
  }

  get messages(): readonly Message[] {
    return this.#messages;
  }

  get answering(): boolean {
    return isOpen(this.#messages.at(-1));
  }

  /** Reads the conversation from the server, once per connection. */
  async refresh(): Promise<void> {
    if (this.#current || this.#backend.status !== 'open') return;
    this.#current = true;
    if (this.#id === null) return this.#lose();
    await this.#send({ type: 'conversation.retrieve', conversation: this.#id }).catch(() => undefined);
  }

  /** Must be called on every new connection, before {@link refresh}. */
  reconnected(): void {
    this.#current = false;
    this.#responseId = null;
    this.#stopWhenNamed = false;
  }

  /** Asks a question; failures end up in the answer's message. */
  async ask(question: string): Promise<void> {
    if (this.answering) return;
    this.#messages.push(message('user', question, 'complete'), message('assistant', '', 'waiting'));
    this.changed.emit(null);
    try {
      if (this.#id === null) await this.#send({ type: 'conversation.create' });
      else await this.#sendQuestion(question);
    } catch (error) {
      this.#fail(reason(error));
    }
  }

  /** Stops the running answer; what has arrived stays. */
  async stop(): Promise<void> {
    const last = this.#messages.at(-1);
    if (!last || !isOpen(last)) return;
    if (this.#responseId !== null) return this.#cancel();
    this.#stopWhenNamed = this.#messages.at(-2)?.id !== null;
    this.#finish(last, 'stopped', null);
  }

  /** Asks the last question again in place of the answer it had. */
  async again(): Promise<void> {
    const question = this.#messages.at(-2);
    if (question) await this.edit(question, question.text);
  }

  /** Asks other words in place of an earlier question; what was said from there on is taken back. */
  async edit(question: Message, words: string): Promise<void> {
    const at = this.#messages.indexOf(question);
    if (this.answering || at < 0 || question.role !== 'user') return;
    for (const { id } of this.#messages.splice(at).reverse()) {
      if (id === null || this.#id === null) continue;
      await this.#send({ type: 'conversation.item.delete', item_id: id, ...this.#place() }).catch(() => undefined);
    }
    await this.ask(words);
  }

  /** Forgets this conversation and starts an empty one. */
  restart(): void {
    void this.stop();
    this.#setId(null);
    this.#messages = [];
    this.#responseId = null;
    this.#asking.clear();
    this.changed.emit(null);
  }

  /** True while a question waits for the server to create the conversation it belongs to. */
  get needsId(): boolean {
    return this.#id === null && this.answering;
  }

  /** The server created the conversation that {@link needsId} waits for. */
  created(id: string): void {
    this.#setId(id);
    const question = this.#messages.at(-2);
    if (question) this.#sendQuestion(question.text).catch((error: unknown) => this.#fail(reason(error)));
  }

  /** Takes in one event of the socket; those of other conversations are ignored. */
  receive(event: ServerEvent): void {
    switch (event.type) {
      case 'conversation.retrieved':
        if (event.conversation.id === this.#id) this.#restore(event.conversation);
        return;
      case 'conversation.item.added':
        if (event.conversation === this.#id) this.#itemAdded(event.item);
        return;
      case 'conversation.item.deleted':
        if (event.conversation === this.#id) this.#itemDeleted(event.item_id);
        return;
      case 'response.created':
        if (event.response.conversation === this.#id) this.#responseCreated(event.response.id);
        return;
      case 'response.output_text.delta':
        if (event.response_id === this.#responseId) this.#append(event.delta);
        return;
      case 'response.done':
        if (event.response.id === this.#responseId) this.#done(event.response);
        return;
      case 'error':
        this.#error(event.error);
        return;
      default:
    }
  }

  #responseCreated(id: string): void {
    this.#responseId = id;
    if (this.#stopWhenNamed) {
      this.#stopWhenNamed = false;
      void this.#cancel();
    } else if (!this.answering) {
      // Another tab asked.
      this.#messages.push(message('assistant', '', 'waiting'));
      this.changed.emit(null);
    }
  }

  #itemAdded(item: Item): void {
    if (this.#messages.some(({ id }) => id === item.id)) return;
    const last = this.#messages.at(-1);
    const question = this.#messages.at(-2);
    if (item.role === 'assistant' && last?.role === 'assistant' && last.id === null) {
      last.id = item.id;
      return;
    }
    if (item.role !== 'user' || question?.role !== 'user' || question.id !== null) {
      // Another tab added it.
      this.#messages.push(fromItem(item));
      this.changed.emit(null);
      return;
    }
    question.id = item.id;
    if (!isOpen(last)) return; // Stopped before it was asked.
    this.#send({ type: 'response.create', ...this.#place() }, true).catch((error: unknown) => this.#fail(reason(error)));
  }

  #itemDeleted(itemId: string): void {
    const at = this.#messages.findIndex(({ id }) => id === itemId);
    if (at < 0) return;
    this.#messages.splice(at, 1);
    this.changed.emit(null);
  }

  async #cancel(): Promise<void> {
    if (this.#responseId === null) return;
    await this.#send({ type: 'response.cancel', response_id: this.#responseId, ...this.#place() }).catch(() => undefined);
  }

  #append(delta: string): void {
    const last = this.#messages.at(-1);
    if (last?.role !== 'assistant') return;
    last.text += delta;
    last.status = 'streaming';
    this.changed.emit(last);
  }

  #done(response: ResponseObject): void {
    this.#responseId = null;
    this.#asking.clear();
    const last = this.#messages.at(-1);
    if (last?.role !== 'assistant') return;
    last.moments = response.output.flatMap(momentsOf);
    const statuses = { completed: 'complete', cancelled: 'stopped', incomplete: 'cut', failed: 'failed', in_progress: 'streaming' } as const;
    this.#finish(last, statuses[response.status], response.status_details?.error?.message ?? null, timing(response));
  }

  #error(error: { readonly code: string; readonly message: string; readonly event_id: string | null }): void {
    if (error.event_id === null || !this.#asking.has(error.event_id)) return;
    if (error.code === 'conversation_not_found') {
      this.#setId(null);
      if (!this.answering) return this.#lose();
    }
    this.#fail(error.message);
  }

  /** The server has nothing of this conversation: an answer that was running is gone. */
  #lose(): void {
    if (this.answering) this.#fail(text.chat.lost);
  }

  #restore(conversation: WireConversation): void {
    const running = conversation.response?.status === 'in_progress';
    this.#responseId = running ? (conversation.response?.id ?? null) : null;
    this.#messages = conversation.items.filter((item) => item.role !== 'system').map(fromItem);
    if (running && this.#messages.at(-1)?.role === 'user') this.#messages.push(message('assistant', '', 'waiting'));
    const last = this.#messages.at(-1);
    // A question that was stored, but whose answer was stopped before its first word, or lost.
    if (last?.role === 'user') this.#messages.push(message('assistant', '', 'stopped'));
    else if (last && isOpen(last) && !running) last.status = 'stopped';
    this.changed.emit(null);
  }

  #fail(why: string): void {
    const last = this.#messages.at(-1);
    if (last && isOpen(last)) this.#finish(last, 'failed', why);
  }

  #finish(last: Message, status: MessageStatus, error: string | null, time: string | null = null): void {
    last.status = status;
    last.error = error;
    last.timing = time;
    this.changed.emit(last);
  }

  #sendQuestion(question: string): Promise<void> {
    const content = [
      { type: 'input_video', video_id: this.videoId },
      { type: 'input_text', text: question },
    ] as const;
    return this.#send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content }, ...this.#place() }, true);
  }

  #place(): { conversation?: string } {
    return this.#id === null ? {} : { conversation: this.#id };
  }

  async #send(event: ClientEvent, asking = event.type === 'conversation.retrieve' || event.type === 'conversation.create'): Promise<void> {
    const event_id = `ask-${nextEvent++}`;
    if (asking) this.#asking.add(event_id);
    await this.#backend.send({ ...event, event_id });
  }

  #setId(id: string | null): void {
    this.#id = id;
    this.#memory.set(this.videoId, id);
  }
}

function isOpen(last: Message | undefined): boolean {
  return last?.status === 'waiting' || last?.status === 'streaming';
}

function message(role: Message['role'], content: string, status: MessageStatus): Message {
  return { id: null, role, text: content, status, error: null, timing: null, moments: [] };
}

function fromItem(item: Item): Message {
  const content = item.content.map((part) => (part.type === 'input_video' ? '' : part.text)).join('');
  const statuses = { completed: 'complete', incomplete: 'stopped', in_progress: content === '' ? 'waiting' : 'streaming' } as const;
  return { ...message(item.role === 'user' ? 'user' : 'assistant', content, statuses[item.status]), id: item.id, moments: momentsOf(item) };
}

function momentsOf({ content }: Item): readonly Annotation[] {
  return content.flatMap((part) => (part.type === 'output_text' ? part.annotations : []));
}

/** Tokens a second: what comes faster was searched for and sent whole, as captions are. */
const FASTEST_WRITING = 500;

function timing(response: ResponseObject): string | null {
  const { seconds, usage } = response;
  if (!seconds || !usage || usage.output_tokens < 2) return null;
  const rate = (usage.output_tokens - 1) / Math.max(0.001, seconds.total - seconds.first_token);
  if (rate > FASTEST_WRITING) return text.chat.timingWhole(seconds.total.toFixed(2));
  return text.chat.timing(seconds.first_token.toFixed(2), rate.toFixed(0));
}
