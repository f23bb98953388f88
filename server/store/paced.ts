import { Turns } from '../inference/turns.js';

/** The part of the time that writes may take: each waits for the disk on the thread that answers everybody. */
const SHARE = 0.25;

interface Waiting {
  readonly work: () => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export interface Pace {
  /** Milliseconds; only differences count. */
  readonly clock: () => number;
  readonly after: (pause_ms: number, work: () => void) => void;
}

const wallPace: Pace = { clock: () => performance.now(), after: (pause_ms, work) => void setTimeout(work, pause_ms) };

/** Runs writes one after the other, clients in turn, with pauses between them that are as long as the disk is slow. */
export class PacedWrites {
  readonly #waiting = new Turns<Waiting>();
  readonly #pace: Pace;
  #pausing = false;

  constructor(pace: Pace = wallPace) {
    this.#pace = pace;
  }

  /** What `work` gives or throws, when its turn has come. */
  run<T>(client: string, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(client, { work, resolve: resolve as (result: unknown) => void, reject });
      if (!this.#pausing) this.#next();
    });
  }

  #next(): void {
    this.#pausing = false;
    const next = this.#waiting.next();
    if (next === null) return;
    const { clock, after } = this.#pace;
    const began = clock();
    try {
      next.resolve(next.work());
    } catch (error) {
      next.reject(error);
    }
    this.#pausing = true;
    after((clock() - began) * (1 / SHARE - 1), () => this.#next());
  }
}
