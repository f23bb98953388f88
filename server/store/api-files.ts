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
}

const columns = 'id, owner, name, purpose, bytes, created_s';

/** The files table: a row is there only while its bytes are. */
export class ApiFiles {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  add({ id, owner, name, purpose, bytes, created_s }: FileRow): void {
    this.#store.run(`INSERT INTO files (${columns}) VALUES (?, ?, ?, ?, ?, ?)`, id, owner, name, purpose, bytes, created_s);
  }

  find(id: string): FileRow | null {
    return isId('file', id) ? this.#store.get<FileRow>(`SELECT ${columns} FROM files WHERE id = ?`, id) : null;
  }

  /** Newest first. */
  list(): FileRow[] {
    return this.#store.all<FileRow>(`SELECT ${columns} FROM files ORDER BY created_s DESC, id`);
  }

  remove(id: string): void {
    this.#store.run('DELETE FROM files WHERE id = ?', id);
  }
}
