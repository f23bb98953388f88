import type { FastifyBaseLogger } from 'fastify';
import type { Owned } from '../access/caller.js';
import type { Video } from '../api/schemas.js';
import { boundary } from '../boundary.js';

export type VideoChange =
  | { readonly type: 'video.progress'; readonly video: Video }
  | { readonly type: 'video.deleted'; readonly video_id: string };

/** A video as it is told of, and whose it is, which is not told. */
export interface Told extends Owned {
  readonly video: Video;
}

type Listener = (change: VideoChange, owned: Owned) => void;

/**
 * Tells listeners how videos change. Progress is thinned out to a few events per second and video, the last one always
 * among them; a change of state goes out at once.
 */
export class VideoFeed {
  readonly #listeners = new Set<Listener>();
  /** Videos told about a moment ago; `stale` when something has changed since. */
  readonly #recent = new Map<string, { timer: NodeJS.Timeout; stale: boolean }>();
  readonly #pause_ms: number;
  readonly #present: (id: string) => Told | null;
  readonly #send: (id: string) => void;

  constructor(options: { readonly perSecond: number; readonly present: (id: string) => Told | null; readonly log: FastifyBaseLogger }) {
    this.#pause_ms = 1000 / options.perSecond;
    // Whoever tells of a change has made it: that it cannot be told must not undo that.
    this.#send = boundary(options.log, 'telling of a video', (id) => this.#tell(id));
    this.#present = options.present;
  }

  /** Gives the function that ends the subscription. */
  subscribe(listener: Listener): () => void {
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

  deleted(id: string, owned: Owned): void {
    clearTimeout(this.#recent.get(id)?.timer);
    this.#recent.delete(id);
    for (const listener of this.#listeners) listener({ type: 'video.deleted', video_id: id }, owned);
  }

  close(): void {
    for (const { timer } of this.#recent.values()) clearTimeout(timer);
    this.#recent.clear();
    this.#listeners.clear();
  }

  #tell(id: string): void {
    const told = this.#present(id);
    if (!told) return;
    for (const listener of this.#listeners) listener({ type: 'video.progress', video: told.video }, told);
  }
}
