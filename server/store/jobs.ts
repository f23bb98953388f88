import type { Store } from './database.js';

/** An encode that is not finished. A job has no state "running": after a kill there would be nobody to take it back. */
export interface Job {
  readonly videoId: string;
  /** Jobs run in this order. */
  readonly sequence: number;
  /** How often the process that ran it ended without saying why. */
  readonly crashes: number;
}

const columns = 'video_id AS videoId, sequence, crashes';

/** The jobs table: a row is there exactly as long as the video still has to be encoded. */
export class Jobs {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  add(videoId: string): void {
    this.#store.run('INSERT OR IGNORE INTO jobs (video_id, sequence) SELECT ?, COALESCE(MAX(sequence), 0) + 1 FROM jobs', videoId);
  }

  has(videoId: string): boolean {
    return this.#store.get('SELECT video_id FROM jobs WHERE video_id = ?', videoId) !== null;
  }

  list(): Job[] {
    return this.#store.all<Job>(`SELECT ${columns} FROM jobs ORDER BY sequence`);
  }

  /** Counts a crash and gives the new count. */
  crashed(videoId: string): number {
    this.#store.run('UPDATE jobs SET crashes = crashes + 1 WHERE video_id = ?', videoId);
    return this.#store.get<{ crashes: number }>('SELECT crashes FROM jobs WHERE video_id = ?', videoId)?.crashes ?? 0;
  }

  remove(videoId: string): void {
    this.#store.remove('DELETE FROM jobs WHERE video_id = ?', videoId);
  }
}
