import type { Backend } from './backend.js';
import { Conversation } from './conversation.js';

/** Which conversation belongs to which video, remembered by this browser. */
export class ConversationMemory {
  readonly #key = 'latentchat.conversations';

  get(videoId: string): string | null {
    return this.#read()[videoId] ?? null;
  }

  set(videoId: string, conversation: string | null): void {
    const all = this.#read();
    if (conversation === null) delete all[videoId];
    else all[videoId] = conversation;
    try {
      localStorage.setItem(this.#key, JSON.stringify(all));
    } catch {
      // No storage (private window, full): conversations then last as long as the page.
    }
  }

  #read(): Record<string, string> {
    try {
      return JSON.parse(localStorage.getItem(this.#key) ?? '{}') as Record<string, string>;
    } catch {
      return {};
    }
  }
}

/** The conversations of this page, one a video, all on the one socket. */
export class Conversations {
  readonly #backend: Backend;
  readonly #memory = new ConversationMemory();
  readonly #all = new Map<string, Conversation>();
  #shown: Conversation | null = null;

  constructor(backend: Backend) {
    this.#backend = backend;
    backend.events.listen((event) => {
      if (event.type === 'session.created') this.#reconnected();
      else if (event.type === 'conversation.created') this.#waiting()?.created(event.conversation.id);
      else for (const conversation of this.#all.values()) conversation.receive(event);
      if (event.type === 'video.deleted') this.forget(event.video_id);
    });
  }

  /** The conversation about a video, read from the server when it is first shown. */
  show(videoId: string): Conversation {
    const known = this.#all.get(videoId);
    const conversation = known ?? new Conversation(videoId, this.#backend, this.#memory);
    this.#all.set(videoId, conversation);
    this.#shown = conversation;
    void conversation.refresh();
    return conversation;
  }

  /** The video is gone, and its conversation with it. */
  forget(videoId: string): void {
    this.#all.delete(videoId);
    this.#memory.set(videoId, null);
    if (this.#shown?.videoId === videoId) this.#shown = null;
  }

  /** The one whose question has waited longest for its conversation to exist: the server answers in order. */
  #waiting(): Conversation | undefined {
    return [...this.#all.values()].find((conversation) => conversation.needsId);
  }

  #reconnected(): void {
    for (const conversation of this.#all.values()) {
      conversation.reconnected();
      if (conversation === this.#shown || conversation.answering) void conversation.refresh();
    }
  }
}
