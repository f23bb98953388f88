import { isId } from '../ids.js';
import type { Store } from './database.js';

export type FilePurpose = 'batch' | 'batch_output';

/** A file of the files API. Its bytes lie in the data folder under its id. */
export interface FileRow {
  readonly id: string;
  /** Id of the API key it belongs to; null: made while there were none, and everybody's. */
  readonly owner: string | null;
  readonly name: string;
  readonly purpose: FilePurpose;
  readonly bytes: number;
  readonly created_s: number;
  /** Seconds since then in which the server ran. */
  readonly age_s: number;
}

const columns = 'id, owner, name, purpose, bytes, created_s, age_s';

/** The files table: a row is there only while its bytes are. */
export class ApiFiles {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  add({ id, owner, name, purpose, bytes, created_s }: FileRow): void {
    this.#store.run('INSERT INTO files (id, owner, name, purpose, bytes, created_s) VALUES (?, ?, ?, ?, ?, ?)', id, owner, name, purpose, bytes, created_s);
  }

  find(id: string): FileRow | null {
    return isId('file', id) ? this.#store.get<FileRow>(`SELECT ${columns} FROM files WHERE id = ?`, id) : null;
  }

  /** Every file has become older. */
  age(elapsed_s: number): void {
    this.#store.run('UPDATE files SET age_s = age_s + ?', elapsed_s);
  }

  /** Newest first. */
  list(): FileRow[] {
    return this.#store.all<FileRow>(`SELECT ${columns} FROM files ORDER BY created_s DESC, id`);
  }

  remove(id: string): void {
    this.#store.remove('DELETE FROM files WHERE id = ?', id);
  }
}
