import type { FastifyBaseLogger } from 'fastify';
import type { WebSocket } from 'ws';
import type { Access } from '../access/access.js';
import type { Caller } from '../access/caller.js';
import type { ApiKey } from '../access/keys.js';
import { checkModel } from '../chat/completion.js';
import type { Limits } from '../config.js';
import { ApiError, toApiError } from '../errors.js';
import { newId } from '../ids.js';
import type { Inference, Reply } from '../inference/inference.js';
import type { Library } from '../library/library.js';
import type { VideoChange } from '../library/feed.js';
import type { VisibleVideos } from '../library/visible.js';
import type { LiveConversation } from './conversations.js';
import { closeCodes } from './events.js';
import type { ConversationHub } from './hub.js';
import { Inbox } from './inbox.js';
import { Outbox } from './outbox.js';
import type { ClientEvent, Session, SessionSettings } from './protocol.js';
import { samplingOf, settingsOf } from './settings.js';
import { Tap } from './tap.js';

export interface SocketContext {
  readonly access: Access;
  readonly hub: ConversationHub;
  readonly library: Library;
  readonly inference: Inference;
  readonly limits: Limits;
  readonly model: string;
  readonly log: FastifyBaseLogger;
}

export interface SocketRequest {
  /** The key it was opened with, or null. */
  readonly key: ApiKey | null;
  readonly caller: Caller;
  /** A stored conversation to go on with, or null. */
  readonly conversationId: string | null;
  /** The model that is wanted, or null: whichever there is. */
  readonly model: string | null;
}

/** One client of /v1/realtime: checks its events, answers them, and forwards what happens to its conversations and videos. */
export class RealtimeSocket {
  readonly #socket: WebSocket;
  readonly #context: SocketContext;
  readonly #outbox: Outbox;
  readonly #sessionId = newId('sess');
  readonly #conversations = new Map<string, { conversation: LiveConversation; leave: () => void }>();
  readonly #replies = new Set<Reply>();
  readonly #default: LiveConversation;
  #settings: SessionSettings = {};
  /** Videos whose progress is wanted; null: all. */
  #videos: Set<string> | null = null;
  readonly #unsubscribe: () => void;
  readonly #unsubscribeKeys: () => void;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #key: ApiKey | null;
  readonly #caller: Caller;
  /** The videos as the caller sees them. */
  readonly #library: VisibleVideos;
  readonly #inbox: Inbox;
  #unanswered = 0;
  /** When something was last asked or answered. */
  #active = performance.now();

  constructor(socket: WebSocket, context: SocketContext, { key, caller, conversationId, model }: SocketRequest) {
    this.#socket = socket;
    this.#context = context;
    this.#key = key;
    this.#caller = caller;
    this.#library = context.library.seenBy(caller);
    const tap = new Tap(socket);
    this.#inbox = new Inbox({
      socket,
      tap,
      limits: context.limits,
      admits: () => this.#admits(),
      handle: (event) => this.#handle(event),
      refuse: (error, eventId) => this.#refuse(error, eventId),
    });
    this.#outbox = new Outbox(socket, tap, context.limits, this.#sessionId.replace('sess', 'event'));
    const problems: ApiError[] = [];
    try {
      this.#default = conversationId === null ? context.hub.create(caller) : context.hub.open(conversationId, caller);
    } catch (error) {
      problems.push(toApiError(error));
      this.#default = context.hub.create(caller);
    }
    this.#join(this.#default);
    this.#unsubscribe = this.#library.subscribe((change) => this.#videoChanged(change));
    this.#unsubscribeKeys = context.access.subscribe(() => this.#keyStillThere());
    this.#heartbeat = setInterval(() => this.#beat(), context.limits.heartbeat_s * 1000).unref();
    socket.on('message', (data, isBinary) => this.#inbox.receive(data, isBinary));
    socket.on('pong', () => (this.#unanswered = 0));
    socket.on('close', () => this.#closed());
    this.#outbox.send({ type: 'session.created', session: this.#session(), conversation: this.#default.state() });
    try {
      checkModel(context.model, model);
    } catch (error) {
      problems.push(toApiError(error));
    }
    for (const problem of problems) this.#sendError(problem, null);
  }

  #handle(event: ClientEvent): Promise<void> | undefined {
    switch (event.type) {
      case 'session.update':
        checkModel(this.#context.model, (event.session as { model?: string }).model, 'session.model');
        this.#settings = { ...this.#settings, ...settingsOf(event.session, this.#context.limits, 'session') };
        this.#outbox.send({ type: 'session.updated', session: this.#session() });
        return;
      case 'conversation.create': {
        this.#checkRoom();
        const conversation = this.#join(this.#context.hub.create(this.#caller));
        this.#outbox.send({ type: 'conversation.created', conversation: conversation.state() });
        return;
      }
      case 'conversation.retrieve': {
        const conversation = this.#conversation(event.conversation);
        this.#outbox.send({ type: 'conversation.retrieved', conversation: conversation.state() });
        return;
      }
      case 'conversation.item.create':
        return this.#addItem(event);
      case 'conversation.item.delete':
        this.#conversation(event.conversation).removeItem(event.item_id);
        return;
      case 'response.create':
        this.#respond(this.#conversation(event.conversation), event.response ?? {});
        return;
      case 'response.cancel':
        this.#conversation(event.conversation).cancel(event.response_id ?? null);
        return;
      case 'video.subscribe':
        this.#library.row(event.video_id, 'video_id');
        this.#videos = (this.#videos ?? new Set()).add(event.video_id);
        this.#outbox.send({ type: 'video.subscribed', video_id: event.video_id });
        this.#outbox.send({ type: 'video.progress', video: this.#library.get(event.video_id) });
        return;
      case 'video.unsubscribe':
        this.#videos ??= new Set();
        this.#videos.delete(event.video_id);
        this.#outbox.send({ type: 'video.unsubscribed', video_id: event.video_id });
    }
  }

  /** By what name it takes turns with others. */
  get #client(): string {
    return this.#key?.id ?? this.#sessionId;
  }

  #respond(conversation: LiveConversation, overrides: SessionSettings): void {
    if (this.#replies.size >= this.#context.limits.repliesPerSocket) throw new ApiError('queue_full');
    const { limits } = this.#context;
    const settings = { ...this.#settings, ...settingsOf(overrides, limits, 'response') };
    const { access } = this.#context;
    if (this.#key) access.admit(this.#key);
    const { reply, ended } = conversation.respond({
      caller: this.#caller,
      client: { client: this.#client, ...(this.#key ? { mostOfClient: access.mostReplies(this.#key) } : {}) },
      instructions: settings.instructions ?? '',
      sampling: samplingOf(settings, limits),
    });
    this.#replies.add(reply);
    void ended.finally(() => this.#replies.delete(reply));
  }

  #addItem({ conversation, item, previous_item_id }: Extract<ClientEvent, { type: 'conversation.item.create' }>): Promise<void> {
    const to = this.#conversation(conversation);
    if (previous_item_id !== undefined && previous_item_id !== (to.lastItemId ?? 'root')) {
      const message = 'The field "previous_item_id" must be left out, or name the last message: messages are added at the end.';
      throw new ApiError('unsupported_parameter', { param: 'previous_item_id', message });
    }
    return to.addItem({ caller: this.#caller, client: this.#client }, item.role, item.content);
  }

  #session(): Session {
    const { maxTokens, temperature, seed } = samplingOf(this.#settings, this.#context.limits);
    return {
      id: this.#sessionId,
      object: 'realtime.session',
      type: 'realtime',
      model: this.#context.model,
      instructions: this.#settings.instructions ?? '',
      temperature,
      top_p: this.#settings.top_p ?? 1,
      seed,
      max_output_tokens: maxTokens,
      output_modalities: ['text'],
    };
  }

  #conversation(id: string | undefined): LiveConversation {
    if (id === undefined) return this.#default;
    const joined = this.#conversations.get(id);
    if (joined) return joined.conversation;
    this.#checkRoom();
    return this.#join(this.#context.hub.open(id, this.#caller));
  }

  #checkRoom(): void {
    if (this.#conversations.size >= this.#context.limits.conversationsPerSocket) throw new ApiError('too_many_conversations');
  }

  #join(conversation: LiveConversation): LiveConversation {
    const leave = conversation.subscribe((event) => this.#outbox.send(event));
    this.#conversations.set(conversation.id, { conversation, leave });
    return conversation;
  }

  #videoChanged(change: VideoChange): void {
    const id = change.type === 'video.progress' ? change.video.id : change.video_id;
    if (this.#videos && !this.#videos.has(id)) return;
    this.#outbox.send(change);
  }

  #admits(): boolean {
    this.#active = performance.now();
    return this.#keyStillThere();
  }

  /** A socket lives long: its key may be removed meanwhile. */
  #keyStillThere(): boolean {
    if (this.#context.access.admits(this.#key)) return true;
    this.#socket.close(closeCodes.keyRemoved, this.#key ? 'the API key was removed' : 'an API key is asked for now');
    return false;
  }

  #beat(): void {
    if (!this.#keyStillThere()) return;
    if (this.#replies.size > 0) this.#active = performance.now();
    if ((performance.now() - this.#active) / 1000 > this.#context.limits.idle_s) {
      this.#socket.close(closeCodes.idle, 'nothing was asked for long');
      return;
    }
    if (this.#unanswered >= 2) {
      this.#socket.close(closeCodes.noHeartbeat, 'no heartbeat');
      this.#socket.terminate();
      return;
    }
    this.#unanswered += 1;
    this.#socket.ping();
  }

  #closed(): void {
    clearInterval(this.#heartbeat);
    this.#unsubscribe();
    this.#unsubscribeKeys();
    this.#inbox.close();
    this.#outbox.close();
    for (const { leave } of this.#conversations.values()) leave();
    // A running answer goes on to its end and is stored; what has not begun is not worth beginning.
    for (const reply of this.#replies) if (!reply.started) reply.cancel();
  }

  #refuse(error: unknown, eventId: string | null): void {
    const problem = toApiError(error);
    if (problem.status >= 500 && problem.status !== 507) this.#context.log.error({ err: error, session: this.#sessionId }, 'event failed');
    this.#sendError(problem, eventId);
  }

  #sendError(error: ApiError, eventId: string | null): void {
    const { code, message, type, param } = error;
    this.#outbox.send({ type: 'error', error: { code, message, type, param, event_id: eventId } });
  }
}
