import type { Video } from '../api/schemas.js';

export type VideoChange =
  | { readonly type: 'video.progress'; readonly video: Video }
  | { readonly type: 'video.deleted'; readonly video_id: string };

/**
 * Tells listeners how videos change. Progress is thinned out to a few events per second and video, the last one always
 * among them; a change of state goes out at once.
 */
export class VideoFeed {
  readonly #listeners = new Set<(change: VideoChange) => void>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #pause_ms: number;
  readonly #present: (id: string) => Video | null;

  constructor(options: { readonly perSecond: number; readonly present: (id: string) => Video | null }) {
    this.#pause_ms = 1000 / options.perSecond;
    this.#present = options.present;
  }

  /** Gives the function that ends the subscription. */
  subscribe(listener: (change: VideoChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Something about the video is new; `urgent` when its state is. */
  changed(id: string, urgent: boolean): void {
    const timer = this.#timers.get(id);
    if (timer && !urgent) return;
    if (urgent) {
      clearTimeout(timer);
      this.#send(id);
    }
    this.#timers.set(
      id,
      setTimeout(() => {
        this.#timers.delete(id);
        if (!urgent) this.#send(id);
      }, this.#pause_ms).unref(),
    );
  }

  deleted(id: string): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    for (const listener of this.#listeners) listener({ type: 'video.deleted', video_id: id });
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#listeners.clear();
  }

  #send(id: string): void {
    const video = this.#present(id);
    if (!video) return;
    for (const listener of this.#listeners) listener({ type: 'video.progress', video });
  }
}
