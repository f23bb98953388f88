import { isId, now_s } from '../ids.js';
import type { Store } from './database.js';

/** An upload as created by its first request. How much of it is there is the length of its file, never a number kept here. */
export interface UploadRow {
  readonly id: string;
  /** Id of the API key it belongs to; null: made while there were none. */
  readonly owner: string | null;
  /** Bytes; null where the client did not know yet. */
  readonly size: number | null;
  readonly metadata: Readonly<Record<string, string | null>>;
  readonly created_s: number;
  /** Seconds without a new byte, counted while the server ran, and how many bytes there were at the last count. */
  readonly idle_s: number;
  readonly counted_bytes: number;
  /** It has become a video. The row stays for a while, so that a client whose last answer got lost is told so. */
  readonly finished: boolean;
}

interface RawRow extends Omit<UploadRow, 'metadata' | 'finished'> {
  readonly metadata: string;
  readonly finished: number;
}

function fromRaw(row: RawRow): UploadRow {
  return { ...row, metadata: JSON.parse(row.metadata) as UploadRow['metadata'], finished: row.finished !== 0 };
}

/** The uploads table. */
export class Uploads {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Keeps a new upload, or the length that a known one has come to have; its owner stays. */
  put(row: Pick<UploadRow, 'id' | 'owner' | 'size' | 'metadata'>): void {
    this.#store.run(
      `INSERT INTO uploads (id, owner, size, metadata, created_s) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET size = excluded.size, metadata = excluded.metadata`,
      row.id,
      row.owner,
      row.size,
      JSON.stringify(row.metadata),
      now_s(),
    );
  }

  find(id: string): UploadRow | null {
    if (!isId('vid', id)) return null;
    const row = this.#store.get<RawRow>('SELECT * FROM uploads WHERE id = ?', id);
    return row && fromRaw(row);
  }

  list(): UploadRow[] {
    return this.#store.all<RawRow>('SELECT * FROM uploads').map(fromRaw);
  }

  finish(id: string): void {
    this.#store.run('UPDATE uploads SET finished = 1 WHERE id = ?', id);
  }

  /** Counts how long nothing came. Gives the seconds. */
  count({ id, idle_s, counted_bytes }: UploadRow, bytes: number, elapsed_s: number): number {
    const idle = bytes === counted_bytes ? idle_s + elapsed_s : 0;
    if (idle !== idle_s || bytes !== counted_bytes) this.#store.run('UPDATE uploads SET idle_s = ?, counted_bytes = ? WHERE id = ?', idle, bytes, id);
    return idle;
  }

  remove(id: string): void {
    this.#store.remove('DELETE FROM uploads WHERE id = ?', id);
  }
}
