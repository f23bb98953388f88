import { LRUCache } from 'lru-cache';
import { LatentChatError } from '../sdk/index.js';
import type { Backend } from './backend.js';

/** How like a question every frame of a video is. */
export interface Likeness {
  readonly question: string;
  /** One a frame, in [0, 1]: the least like and the most like frame of this video. */
  readonly shares: readonly number[];
}

/** Frames the server compares a question with at most. */
const mostHits = 1000;
/** Answers that are remembered: those of the last questions. */
const mostKnown = 50;

/** Compares questions with frames by the server's search; remembers the last answers. */
export class Similarity {
  readonly #backend: Backend;
  readonly #known = new LRUCache<string, Promise<Likeness | null>>({ max: mostKnown });
  /** The server's model pack has no towers for it. */
  #impossible = false;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Null where the server cannot compare words with frames, or did not answer. */
  of(videoId: string, frames: number, question: string): Promise<Likeness | null> {
    if (this.#impossible) return Promise.resolve(null);
    const key = `${videoId}/${frames}/${question}`;
    const known = this.#known.get(key) ?? this.#ask(videoId, frames, question);
    this.#known.set(key, known);
    return known;
  }

  async #ask(video: string, frames: number, text: string): Promise<Likeness | null> {
    try {
      const hits = await this.#backend.client.search({ text, videos: [video], scope: 'frames', limit: mostHits });
      const scores = new Array<number>(frames).fill(Number.NaN);
      for (const { frame, score } of hits) if (frame < frames) scores[frame] = score;
      return hits.length > 0 ? { question: text, shares: toShares(scores) } : null;
    } catch (error) {
      this.#impossible = error instanceof LatentChatError && (error.status === 501 || error.status === 404);
      // The next question may find the server again.
      this.#known.clear();
      return null;
    }
  }
}

/** Brings scores to [0, 1]; frames of a long video that were not among the hits are as far off as the last of them. */
function toShares(scores: readonly number[]): number[] {
  const known = scores.filter((score) => !Number.isNaN(score));
  const least = Math.min(...known);
  const range = Math.max(...known) - least || 1;
  return scores.map((score) => (Number.isNaN(score) ? 0 : (score - least) / range));
}
