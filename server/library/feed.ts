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
  /** Videos told about a moment ago; `stale` when something has changed since. */
  readonly #recent = new Map<string, { timer: NodeJS.Timeout; stale: boolean }>();
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
    const recent = this.#recent.get(id);
    if (recent && !urgent) {
      recent.stale = true;
      return;
    }
    clearTimeout(recent?.timer);
    const timer = setTimeout(() => {
      const stale = this.#recent.get(id)?.stale;
      this.#recent.delete(id);
      if (stale) this.changed(id, false);
    }, this.#pause_ms).unref();
    this.#recent.set(id, { timer, stale: false });
    this.#send(id);
  }

  deleted(id: string): void {
    clearTimeout(this.#recent.get(id)?.timer);
    this.#recent.delete(id);
    for (const listener of this.#listeners) listener({ type: 'video.deleted', video_id: id });
  }

  close(): void {
    for (const { timer } of this.#recent.values()) clearTimeout(timer);
    this.#recent.clear();
    this.#listeners.clear();
  }

  #send(id: string): void {
    const video = this.#present(id);
    if (!video) return;
    for (const listener of this.#listeners) listener({ type: 'video.progress', video });
  }
}
