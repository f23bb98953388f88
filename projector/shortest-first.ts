/** Work that is done piece by piece, such as a prompt that is read. */
export interface Pieces {
  /** How many are left, as far as that is known. */
  left(): number;
  /** Does the next one. @returns whether it was the last */
  next(): Promise<boolean>;
}

interface Entry {
  readonly work: Pieces;
  /** Pieces of others, who came later, that were done before this work's own. */
  overtaken: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Does one piece after another, of the work that has fewest left: what is short waits for one piece of what is long, not for all of it. Among equals,
 * who came first. Each piece of a later one counts as if one of the earlier ones' own had been done, so that long work is not put off for ever.
 */
export class ShortestFirst {
  /** In the order in which they came. */
  #waiting: Entry[] = [];
  #running = false;

  /** Resolves when all of the work is done. @throws what one of its pieces throws */
  run(work: Pieces): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ work, overtaken: 0, resolve, reject });
      if (!this.#running) void this.#go();
    });
  }

  async #go(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      const entry = this.#next();
      try {
        if (!(await entry.work.next())) continue;
        entry.resolve();
      } catch (error) {
        entry.reject(error);
      }
      this.#waiting = this.#waiting.filter((other) => other !== entry);
    }
    this.#running = false;
  }

  #next(): Entry {
    let [best, fewest] = [this.#waiting[0] as Entry, Infinity];
    for (const entry of this.#waiting) {
      const left = entry.work.left() - entry.overtaken;
      if (left < fewest) [best, fewest] = [entry, left];
    }
    for (const entry of this.#waiting) {
      if (entry === best) break;
      entry.overtaken += 1;
    }
    return best;
  }
}
