/** What waits for its turn: first come first served within a client, clients in turn. */
export class Turns<T> {
  readonly #byClient = new Map<string, T[]>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(client: string, entry: T): void {
    const entries = this.#byClient.get(client);
    if (entries) entries.push(entry);
    else this.#byClient.set(client, [entry]);
    this.#length += 1;
  }

  /** Puts back what was taken too early: it is the next of its client. */
  putBack(client: string, entry: T): void {
    const entries = this.#byClient.get(client);
    if (entries) entries.unshift(entry);
    else this.#byClient.set(client, [entry]);
    this.#length += 1;
  }

  /**
   * The next entry; its client goes to the end of the line.
   * @param may which clients may have a turn; others keep their place in line
   */
  next(may: (client: string) => boolean = () => true): T | null {
    for (const [client, entries] of this.#byClient) {
      if (!may(client)) continue;
      this.#byClient.delete(client);
      const entry = entries.shift();
      if (entries.length > 0) this.#byClient.set(client, entries);
      if (entry === undefined) continue;
      this.#length -= 1;
      return entry;
    }
    return null;
  }

  /** Everything that waits, in the order it would be taken. */
  order(): T[] {
    const lines = [...this.#byClient.values()];
    const order: T[] = [];
    for (let round = 0; order.length < this.#length; round++) {
      for (const line of lines) {
        const entry = line[round];
        if (entry !== undefined) order.push(entry);
      }
    }
    return order;
  }

  /** Takes out the first entry that fits, or gives null. */
  remove(fits: (entry: T) => boolean): T | null {
    for (const [client, entries] of this.#byClient) {
      const index = entries.findIndex(fits);
      if (index < 0) continue;
      const [entry] = entries.splice(index, 1);
      if (entries.length === 0) this.#byClient.delete(client);
      this.#length -= 1;
      return entry ?? null;
    }
    return null;
  }
}
