import type { Store } from './database.js';

/** What a data folder remembers of itself. */
export type FactName =
  /** The demos were put in; how many there were. */
  | 'demos'
  /** API keys were asked for once. */
  | 'keys_asked';

/** The facts table: a few single values. */
export class Facts {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  has(name: FactName): boolean {
    return this.#store.get('SELECT value FROM facts WHERE name = ?', name) !== null;
  }

  set(name: FactName, value: string): void {
    this.#store.run('INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value', name, value);
  }

  remove(name: FactName): void {
    this.#store.remove('DELETE FROM facts WHERE name = ?', name);
  }
}
