import { AsyncLocalStorage } from 'node:async_hooks';
import { open, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { FileStore, type Configstore } from '@tus/file-store';
import { Upload } from '@tus/server';
import { writeAtomically } from '../../model/runtime/durable.node.js';
import { ApiError, storageProblem } from '../errors.js';
import type { Claim, Disk } from '../store/disk.js';
import { PRIVATE_MODE, type DataFolder } from '../store/files.js';
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
  readonly #disk: Disk;
  /** By id: room for the bytes of every upload that is open. */
  readonly #claims = new Map<string, Claim>();

  constructor(folder: DataFolder, uploads: Uploads, disk: Disk) {
    const maker = new AsyncLocalStorage<string | null>();
    super({ directory: folder.uploads, configstore: configstore(uploads, () => maker.getStore() ?? null) });
    this.#maker = maker;
    this.#folder = folder;
    this.#uploads = uploads;
    this.#disk = disk;
  }

  /** Promises room for an upload that an earlier run of the server began. */
  adopt(id: string, left: number): void {
    this.#claims.set(id, this.#disk.adopt(left));
  }

  /** As the base class: an empty file and a row. @throws ApiError `disk_full` where the bytes it declares have no room */
  override async create(upload: Upload): Promise<Upload> {
    const claim = await this.#disk.claim(upload.size ?? 0);
    try {
      await writeAtomically(this.#folder.upload(upload.id), new Uint8Array(), { mode: PRIVATE_MODE });
      await this.configstore.set(upload.id, upload);
    } catch (error) {
      claim.release();
      await rm(this.#folder.upload(upload.id), { force: true });
      throw error;
    }
    this.#claims.set(upload.id, claim);
    return upload;
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

  /**
   * As the base class, which hides why a write failed. What was written before the failure stays and counts.
   * @throws ApiError `disk_full`, `disk_read_only`
   */
  override async write(readable: IncomingMessage | Readable, id: string, offset: number): Promise<number> {
    const claim = this.#claimOf(id, offset);
    let end = offset;
    try {
      const handle = await open(this.#folder.upload(id), 'r+');
      try {
        // A pipeline would destroy the request's stream, and the package then tells the client that it has hung up itself.
        for await (const chunk of readable.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
          await claim.take(chunk.length);
          for (let from = 0; from < chunk.length; ) {
            const { bytesWritten } = await handle.write(chunk, from, chunk.length - from, end);
            from += bytesWritten;
            end += bytesWritten;
          }
        }
      } finally {
        await handle.close();
      }
    } catch (error) {
      const problem = storageProblem(error);
      if (problem !== null) throw new ApiError(problem, { cause: error });
      throw error;
    }
    return end;
  }

  /** The room an upload was promised when it began, by this server or an earlier run of it. */
  #claimOf(id: string, offset: number): Claim {
    let claim = this.#claims.get(id);
    if (!claim) {
      const { size } = this.#uploads.find(id) ?? { size: null };
      claim = this.#disk.adopt(size === null ? 0 : size - offset);
      this.#claims.set(id, claim);
    }
    return claim;
  }

  /** Its bytes have come, or never will. */
  release(id: string): void {
    this.#claims.get(id)?.release();
    this.#claims.delete(id);
  }

  override async remove(id: string): Promise<void> {
    this.release(id);
    await rm(this.#folder.upload(id), { force: true });
    this.#uploads.remove(id);
  }
}
