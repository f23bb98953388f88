import { Tally } from '../access/tally.js';
import { Turns } from '../inference/turns.js';

interface Waiting {
  readonly owner: string;
  readonly most: number;
  readonly resolve: () => void;
}

/** Places for lines of batches: so many in all, no owner more than it may have, and owners take turns. */
export class LineSlots {
  readonly #waiting = new Turns<Waiting>();
  readonly #taken = new Tally();
  #all = 0;

  constructor(private readonly count: number) {}

  /**
   * Resolves when the owner has a place, which `give` gives back.
   * @param most places of this owner
   * @throws the signal's reason when it is aborted first
   */
  async take(owner: string, most: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => {
        this.#waiting.remove((other) => other === entry);
        reject(signal.reason as Error);
      };
      const entry: Waiting = {
        owner,
        most,
        resolve: () => {
          signal.removeEventListener('abort', stop);
          resolve();
        },
      };
      signal.addEventListener('abort', stop, { once: true });
      this.#waiting.add(owner, entry);
      this.#fill();
    });
  }

  give(owner: string): void {
    this.#taken.add(owner, -1);
    this.#all--;
    this.#fill();
  }

  #fill(): void {
    for (const entry of this.#waiting.order()) {
      if (this.#all >= this.count) return;
      if (this.#taken.of(entry.owner) >= entry.most) continue;
      this.#waiting.remove((other) => other === entry);
      this.#taken.add(entry.owner, 1);
      this.#all++;
      entry.resolve();
    }
  }
}
