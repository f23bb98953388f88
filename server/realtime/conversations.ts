import type { FastifyBaseLogger } from 'fastify';
import type { Access } from '../access/access.js';
import type { Caller } from '../access/caller.js';
import { buildPrompt, checkAskable, checkLength, videoIdOf, type PromptContext, type Turn } from '../chat/prompt.js';
import { ApiError, toApiError } from '../errors.js';
import { newId } from '../ids.js';
import type { Inference, Reply } from '../inference/inference.js';
import type { ReplyOutcome, ReplyTask, Sampling } from '../inference/messages.js';
import type { Library } from '../library/library.js';
import { contentBytes, type Conversations, type ConversationRow } from '../store/conversations.js';
import type { Disk } from '../store/disk.js';
import type { PacedWrites } from '../store/paced.js';
import type { ContentPart, Conversation, Item, MessageRole, NewPart, ResponseObject, ServerEventBody } from './protocol.js';

export interface ConversationContext extends Omit<PromptContext, 'library'> {
  readonly library: Pick<Library, 'seenBy'>;
  readonly store: Conversations;
  readonly disk: Pick<Disk, 'hasRoom'>;
  readonly writes: PacedWrites;
  readonly access: Pick<Access, 'isGone'>;
  readonly inference: Inference;
  readonly log: FastifyBaseLogger;
}

type Listener = (event: ServerEventBody) => void;

export interface ResponseRequest {
  readonly caller: Caller;
  /** Who asks, for fairness between clients. */
  readonly client: Pick<ReplyTask, 'client' | 'mostOfClient'>;
  /** The system message; empty: the model's own. */
  readonly instructions: string;
  readonly sampling: Sampling;
}

interface Running {
  readonly id: string;
  readonly itemId: string;
  readonly reply: Reply;
  text: string;
}

/** One conversation: its messages, at most one response in progress, and the sockets that hear of both. */
export class LiveConversation {
  readonly id: string;
  /** Id of the API key it belongs to; null: begun where no key is asked for. */
  readonly owner: string | null;
  readonly #context: ConversationContext;
  readonly #items: Item[];
  readonly #listeners = new Set<Listener>();
  readonly #release: () => void;
  #running: Running | null = null;
  #bytes: number;
  #gone = false;

  constructor(context: ConversationContext, { id, owner }: Pick<ConversationRow, 'id' | 'owner'>, items: Item[], release: () => void) {
    this.#context = context;
    this.id = id;
    this.owner = owner;
    this.#items = items;
    this.#bytes = items.reduce((sum, { content }) => sum + contentBytes(content), 0);
    this.#release = release;
  }

  /** Gives the function that ends the subscription; the last one to go lets the conversation go to the store. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      this.#releaseIfUnused();
    };
  }

  state(): Conversation {
    const running = this.#running;
    return {
      id: this.id,
      object: 'realtime.conversation',
      items: running ? [...this.#items, answerItem(running.itemId, 'in_progress', running.text)] : [...this.#items],
      response: running ? this.#response(running.id, 'in_progress') : null,
    };
  }

  /**
   * Adds and stores a message, in its client's turn.
   * @throws ApiError naming the part that is wrong; `conversation_full`, `conversation_quota`, `disk_full`
   */
  async addItem({ caller, client }: { readonly caller: Caller; readonly client: string }, role: MessageRole, content: readonly NewPart[]): Promise<void> {
    const parts = content.map((part, index) => this.#checkedPart(caller, role, part, `item.content[${index}]`));
    const empty = parts.every((part) => part.type !== 'input_video' && part.text.trim() === '');
    if (empty) throw new ApiError('empty_question', { param: 'item.content' });
    checkLength(parts.map((part) => (part.type === 'input_video' ? '' : part.text)).join(''), this.#context.limits, 'item.content');
    this.#checkRoom(parts);
    if (!(await this.#context.disk.hasRoom())) throw new ApiError('disk_full');
    const item: Item = { id: newId('item'), object: 'realtime.item', type: 'message', role, status: 'completed', content: parts };
    await this.#context.writes.run(client, () => {
      // Others may have written meanwhile.
      this.#checkRoom(parts);
      const added = { conversation: this.id, previous_item_id: this.lastItemId, item };
      this.#keep(item);
      this.#emit({ type: 'conversation.item.added', ...added });
      this.#emit({ type: 'conversation.item.done', ...added });
    });
  }

  #keep(item: Item): void {
    this.#context.store.addItem(this, item);
    this.#items.push(item);
    this.#bytes += contentBytes(item.content);
  }

  /** Throws where the conversation, or its owner, may not have a message more. */
  #checkRoom(content: readonly ContentPart[]): void {
    const { store, limits } = this.#context;
    if (this.#gone) throw new ApiError('conversation_not_found');
    if (this.#items.length >= limits.itemsPerConversation) {
      const message = `The conversation has ${this.#items.length} messages; the limit is ${limits.itemsPerConversation}. Start a new one.`;
      throw new ApiError('conversation_full', { message });
    }
    const bytes = contentBytes(content);
    if (this.#bytes + bytes > limits.conversationBytes) {
      throw new ApiError('conversation_full', { message: `The conversation has ${this.#bytes} bytes; the limit is ${limits.conversationBytes}. Start a new one.` });
    }
    const owned = store.owned(this.owner);
    const isNew = this.#items.length === 0;
    if (owned.bytes + bytes > limits.conversationBytesPerKey || (isNew && owned.conversations >= limits.conversationsPerKey)) throw new ApiError('conversation_quota');
  }

  /** It was removed: whoever looks at it is told, and its answer is given up. */
  removed(): void {
    this.#gone = true;
    this.#running?.reply.cancel();
    this.#emit({ type: 'conversation.deleted', conversation: this.id });
  }

  /** Id of the last message, or null. */
  get lastItemId(): string | null {
    return this.#items.at(-1)?.id ?? null;
  }

  removeItem(itemId: string): void {
    const index = this.#items.findIndex((item) => item.id === itemId);
    if (index < 0) throw new ApiError('item_not_found', { param: 'item_id' });
    this.#context.store.removeItem(this.id, itemId);
    const [removed] = this.#items.splice(index, 1);
    this.#bytes -= contentBytes(removed?.content ?? []);
    this.#emit({ type: 'conversation.item.deleted', conversation: this.id, item_id: itemId });
  }

  /** Starts a response to the messages so far; `ended` resolves when it has ended, in whatever way. */
  respond({ caller, client, instructions, sampling }: ResponseRequest): { readonly reply: Reply; readonly ended: Promise<void> } {
    if (this.#gone) throw new ApiError('conversation_not_found');
    if (this.#running) throw new ApiError('response_in_progress');
    const turns = this.#items.map(turnOf);
    const prompt = buildPrompt(this.#seenBy(caller), [{ role: 'system', text: instructions, videos: [] }, ...turns], 'item.content');
    const asked = performance.now();
    let firstToken: number | null = null;
    const reply = this.#context.inference.reply(
      { ...client, messages: prompt, sampling },
      {
        onQueued: (position) => this.#emit({ type: 'response.queued', response_id: running.id, conversation: this.id, position }),
        onDelta: (text) => {
          firstToken ??= (performance.now() - asked) / 1000;
          running.text += text;
          this.#emit({ type: 'response.output_text.delta', ...this.#place(running), delta: text });
        },
      },
    );
    const running: Running = { id: newId('resp'), itemId: newId('item'), reply, text: '' };
    this.#running = running;
    this.#emit({ type: 'response.created', response: this.#response(running.id, 'in_progress') });
    const item = answerItem(running.itemId, 'in_progress', '');
    this.#emit({ type: 'response.output_item.added', response_id: running.id, output_index: 0, item });
    this.#emit({ type: 'conversation.item.added', conversation: this.id, previous_item_id: this.lastItemId, item });
    this.#emit({ type: 'response.content_part.added', ...this.#place(running), part: { type: 'text', text: '' } });
    const ended = reply.outcome.then(
      (outcome) => this.#end(running, outcome, null, asked, firstToken),
      (error: unknown) => this.#end(running, null, toApiError(error), asked, firstToken),
    );
    return { reply, ended };
  }

  /** Throws `response_not_found` when there is none, or another one. */
  cancel(responseId: string | null): void {
    const running = this.#running;
    if (!running || (responseId !== null && responseId !== running.id)) throw new ApiError('response_not_found', { param: 'response_id' });
    running.reply.cancel();
  }

  #end(running: Running, outcome: ReplyOutcome | null, error: ApiError | null, asked: number, firstToken: number | null): void {
    const total = (performance.now() - asked) / 1000;
    const text = outcome?.text || running.text;
    const whole = outcome?.finish === 'stop';
    const item = answerItem(running.itemId, whole ? 'completed' : 'incomplete', text, outcome);
    const previous = this.lastItemId;
    let problem = error;
    if (text !== '' && !this.#gone) {
      try {
        this.#keep(item);
      } catch (thrown) {
        this.#context.log.error({ err: thrown, conversation: this.id }, 'an answer could not be stored');
        problem ??= toApiError(thrown);
      }
    }
    this.#running = null;
    this.#emit({ type: 'response.output_text.done', ...this.#place(running), text });
    this.#emit({ type: 'response.content_part.done', ...this.#place(running), part: { type: 'text', text } });
    this.#emit({ type: 'response.output_item.done', response_id: running.id, output_index: 0, item });
    this.#emit({ type: 'conversation.item.done', conversation: this.id, previous_item_id: previous, item });
    this.#emit({
      type: 'response.done',
      response: {
        ...this.#response(running.id, problem ? 'failed' : statusOf(outcome)),
        status_details: detailsOf(outcome, problem),
        output: text === '' ? [] : [item],
        usage: outcome && {
          input_tokens: outcome.usage.prompt_tokens,
          cached_tokens: outcome.usage.cached_tokens,
          output_tokens: outcome.usage.completion_tokens,
          total_tokens: outcome.usage.prompt_tokens + outcome.usage.completion_tokens,
        },
        seconds: { first_token: firstToken ?? total, total },
      },
    });
    this.#releaseIfUnused();
  }

  #checkedPart(caller: Caller, role: MessageRole, part: NewPart, param: string): ContentPart {
    if (part.type !== 'input_video') {
      checkLength(part.text, this.#context.limits, `${param}.text`);
      return role === 'assistant' ? { type: 'output_text', text: part.text, annotations: [] } : { type: 'input_text', text: part.text };
    }
    if (role !== 'user') throw new ApiError('invalid_request', { param, message: 'Only a message of the user can have a video.' });
    const { video_id, video } = part as { video_id?: string; video?: string };
    if (video_id === undefined && video === undefined) {
      throw new ApiError('invalid_request', { param: `${param}.video_id`, message: `The field "${param}.video_id" is missing.` });
    }
    const id = video_id ?? videoIdOf(video ?? '', `${param}.video`);
    checkAskable(this.#seenBy(caller), id, video_id === undefined ? `${param}.video` : `${param}.video_id`);
    return { type: 'input_video', video_id: id };
  }

  /** What prompts are made of, with the videos that the caller sees. */
  #seenBy(caller: Caller): PromptContext {
    return { ...this.#context, library: this.#context.library.seenBy(caller) };
  }

  #response(id: string, status: ResponseObject['status']): ResponseObject {
    return { id, object: 'realtime.response', conversation: this.id, status, status_details: null, output: [], usage: null, seconds: null };
  }

  #place(running: Running) {
    return { response_id: running.id, conversation: this.id, item_id: running.itemId, output_index: 0, content_index: 0 } as const;
  }

  #emit(event: ServerEventBody): void {
    for (const listener of this.#listeners) listener(event);
  }

  #releaseIfUnused(): void {
    if (this.#listeners.size === 0 && !this.#running) this.#release();
  }
}

function answerItem(id: string, status: Item['status'], text: string, outcome: ReplyOutcome | null = null): Item {
  const { annotations = [], confidence = null } = outcome ?? {};
  const content: ContentPart[] = text === '' ? [] : [{ type: 'output_text', text, annotations, confidence }];
  return { id, object: 'realtime.item', type: 'message', role: 'assistant', status, content };
}

function turnOf(item: Item): Turn {
  const texts: string[] = [];
  const videos: string[] = [];
  for (const part of item.content) {
    if (part.type === 'input_video') videos.push(part.video_id);
    else texts.push(part.text);
  }
  return { role: item.role, text: texts.join('\n'), videos };
}

function statusOf(outcome: ReplyOutcome | null): ResponseObject['status'] {
  if (outcome?.finish === 'stop') return 'completed';
  return outcome?.finish === 'length' ? 'incomplete' : 'cancelled';
}

function detailsOf(outcome: ReplyOutcome | null, problem: ApiError | null): ResponseObject['status_details'] {
  if (problem) return { error: { code: problem.code, message: problem.message } };
  return outcome?.finish === 'length' ? { reason: 'max_output_tokens' } : null;
}
