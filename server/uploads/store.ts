import { AsyncLocalStorage } from 'node:async_hooks';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FileStore, type Configstore } from '@tus/file-store';
import { Upload } from '@tus/server';
import { isDiskFull } from '../errors.js';
import type { DataFolder } from '../store/files.js';
import type { Uploads } from '../store/uploads.js';

/** What tus keeps about uploads, in the database instead of a JSON file beside each one. */
function configstore(uploads: Uploads, ownerOfNew: () => string | null): Configstore {
  return {
    async get(id) {
      const row = uploads.find(id);
      if (!row) return undefined;
      return new Upload({
        id,
        offset: 0,
        metadata: row.metadata,
        creation_date: new Date(row.created_s * 1000).toISOString(),
        ...(row.size === null ? {} : { size: row.size }),
      });
    },
    async set(id, upload) {
      uploads.put({ id, owner: ownerOfNew(), size: upload.size ?? null, metadata: upload.metadata ?? {} });
    },
    async delete(id) {
      uploads.remove(id);
    },
  };
}

/** Bytes of uploads in the data folder, their facts in the database. */
export class UploadStore extends FileStore {
  readonly #uploads: Uploads;
  readonly #folder: DataFolder;
  readonly #maker: AsyncLocalStorage<string | null>;

  constructor(folder: DataFolder, uploads: Uploads) {
    const maker = new AsyncLocalStorage<string | null>();
    super({ directory: folder.uploads, configstore: configstore(uploads, () => maker.getStore() ?? null) });
    this.#maker = maker;
    this.#folder = folder;
    this.#uploads = uploads;
  }

  /** What `work` creates belongs to the owner: the tus package has no place for one in what it hands from a request to its store. */
  madeBy<T>(owner: string | null, work: () => T): T {
    return this.#maker.run(owner, work);
  }

  /** A finished upload has no file any more, but a client that missed the last answer must learn that all bytes are there. */
  override async getUpload(id: string): Promise<Upload> {
    const row = this.#uploads.find(id);
    if (row?.finished) return new Upload({ id, offset: row.size ?? 0, size: row.size ?? 0, metadata: row.metadata });
    return super.getUpload(id);
  }

  /** As the base class, which hides why a write failed. What was written before the failure stays and counts. */
  override async write(readable: IncomingMessage | Readable, id: string, offset: number): Promise<number> {
    let received = 0;
    try {
      await pipeline(
        readable,
        async function* (chunks: AsyncIterable<Buffer>) {
          for await (const chunk of chunks) {
            received += chunk.length;
            yield chunk;
          }
        },
        createWriteStream(this.#folder.upload(id), { flags: 'r+', start: offset }),
      );
    } catch (error) {
      if (isDiskFull(error)) throw Object.assign(new Error('disk full', { cause: error }), { status_code: 507, body: 'disk_full' });
      throw error;
    }
    return offset + received;
  }

  override async remove(id: string): Promise<void> {
    await rm(this.#folder.upload(id), { force: true });
    this.#uploads.remove(id);
  }
}
