import { LatentChatError, type Video } from '../sdk/index.js';
import type { Backend } from './backend.js';
import { Signal } from './signal.js';
import { text } from './strings.js';

/** A file on its way to the server. */
export interface Upload {
  readonly key: string;
  readonly name: string;
  readonly total: number;
  sent: number;
  /** Id of the video it becomes, once the server has given it one. */
  id: string | null;
  error: string | null;
  readonly abort: AbortController;
}

/** The videos of the server and the uploads of this page. */
export class Library {
  /** Any change of the list or of one of its videos. */
  readonly changed = new Signal();
  /** An upload of this page became this video. */
  readonly uploaded = new Signal<{ readonly upload: Upload; readonly video: Video }>();
  readonly #backend: Backend;
  readonly #videos = new Map<string, Video>();
  readonly #uploads: Upload[] = [];
  #loaded = false;
  #loadError: string | null = null;
  #nextUpload = 1;

  constructor(backend: Backend) {
    this.#backend = backend;
    backend.events.listen((event) => {
      if (event.type === 'session.created') void this.load();
      if (event.type === 'video.progress') this.#put(event.video);
      if (event.type === 'video.deleted') this.#drop(event.video_id);
    });
  }

  /** Newest first. A video that is still shown as an upload is left out: news of it may overtake the upload's own answer. */
  get videos(): readonly Video[] {
    const uploading = new Set(this.#uploads.filter(({ error }) => error === null).map(({ id }) => id));
    return [...this.#videos.values()].filter(({ id }) => !uploading.has(id)).sort((a, b) => b.created - a.created);
  }

  get uploads(): readonly Upload[] {
    return this.#uploads;
  }

  /** False until the list has been read once. */
  get loaded(): boolean {
    return this.#loaded;
  }

  /** Why the list could not be read, while that is so. */
  get loadError(): string | null {
    return this.#loadError;
  }

  find(id: string | null): Video | null {
    return id === null ? null : (this.#videos.get(id) ?? null);
  }

  /** Reads the list; a failure is kept in {@link loadError}. */
  async load(): Promise<void> {
    try {
      const videos = await this.#backend.client.videos.list();
      this.#videos.clear();
      for (const video of videos) this.#videos.set(video.id, video);
      this.#loaded = true;
      this.#loadError = null;
    } catch (error) {
      this.#loadError = reason(error);
    }
    this.changed.emit();
  }

  /** Removes a video from the server. @throws LatentChatError */
  async remove(id: string): Promise<void> {
    try {
      await this.#backend.client.videos.delete(id);
    } catch (error) {
      if (!(error instanceof LatentChatError && error.status === 404)) throw error;
    }
    this.#drop(id);
  }

  /** Starts uploading; progress and failure show in {@link uploads}. */
  add(file: File): Upload {
    const upload: Upload = {
      key: `upload-${this.#nextUpload++}`,
      name: file.name,
      total: file.size,
      sent: 0,
      id: null,
      error: file.size === 0 ? text.upload.empty : null,
      abort: new AbortController(),
    };
    this.#uploads.unshift(upload);
    this.changed.emit();
    if (upload.error === null) void this.#send(upload, file);
    return upload;
  }

  /** Cancels an upload, or takes a failed one off the list. */
  dismiss(upload: Upload): void {
    this.#takeOff(upload);
    upload.abort.abort();
    this.changed.emit();
  }

  #takeOff(upload: Upload): void {
    const at = this.#uploads.indexOf(upload);
    if (at >= 0) this.#uploads.splice(at, 1);
  }

  async #send(upload: Upload, file: File): Promise<void> {
    try {
      const video = await this.#backend.client.upload(file, {
        signal: upload.abort.signal,
        onStart: (id) => {
          upload.id = id;
        },
        onProgress: ({ sent }) => {
          upload.sent = sent;
          this.changed.emit();
        },
      });
      // An event may have brought a later state of it already.
      if (!this.#videos.has(video.id)) this.#put(video);
      this.#takeOff(upload);
      this.uploaded.emit({ upload, video: this.#videos.get(video.id) ?? video });
    } catch (error) {
      if (upload.abort.signal.aborted) return;
      upload.error = reason(error);
    }
    this.changed.emit();
  }

  #put(video: Video): void {
    this.#videos.set(video.id, video);
    this.changed.emit();
  }

  #drop(id: string): void {
    if (this.#videos.delete(id)) this.changed.emit();
  }
}

export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
