import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { Server as TusServer } from '@tus/server';
import type { FastifyBaseLogger } from 'fastify';
import { sees, type Caller } from '../access/caller.js';
import type { Limits } from '../config.js';
import { ApiError, storageProblem, toApiError, type ErrorCode } from '../errors.js';
import { newId } from '../ids.js';
import type { Library } from '../library/library.js';
import type { Disk } from '../store/disk.js';
import { fileBytes, type DataFolder } from '../store/files.js';
import type { Uploads, UploadRow } from '../store/uploads.js';
import { UploadStore } from './store.js';

export interface ReceiverOptions {
  readonly folder: DataFolder;
  readonly uploads: Uploads;
  readonly library: Library;
  readonly disk: Disk;
  readonly limits: Limits;
  readonly log: FastifyBaseLogger;
}

/** How the tus package's answers read in the one table of errors; other statuses are errors in the headers. */
const codes: Readonly<Record<number, ErrorCode>> = {
  404: 'upload_not_found',
  409: 'upload_conflict',
  410: 'upload_gone',
  413: 'upload_too_large',
  500: 'internal_error',
  507: 'disk_full',
};

/** Resumable uploads by the tus protocol 1.0.0. The id of an upload becomes the id of its video. */
export class Receiver {
  readonly #tus: TusServer;
  readonly #store: UploadStore;
  readonly #options: ReceiverOptions;
  /** Uploads that are being turned into videos right now. */
  readonly #finishing = new Map<string, Promise<void>>();

  constructor(options: ReceiverOptions) {
    this.#options = options;
    const { folder, uploads, limits, disk } = options;
    this.#store = new UploadStore(folder, uploads, disk);
    this.#tus = new TusServer({
      path: '/v1/uploads',
      datastore: this.#store,
      maxSize: limits.uploadBytes,
      // Relative to the address that was asked, wherever a proxy has put it.
      generateUrl: (_request, { id }) => `uploads/${id}`,
      disableTerminationForFinishedUploads: true,
      allowedOrigins: [],
      namingFunction: () => newId('vid'),
      onUploadCreate: async (_request, upload) => {
        if (upload.size === 0) throw new ApiError('empty_file', { param: 'Upload-Length' });
        return {};
      },
      onUploadFinish: async (_request, upload) => {
        await this.finish(upload.id);
        return { headers: { 'X-Video-Id': upload.id } };
      },
      onResponseError: (_request, error) => {
        if ('status_code' in error) return { status_code: error.status_code, body: error.body };
        const mapped = toApiError(error);
        if (mapped.status >= 500) options.log.error({ err: error }, 'upload failed');
        return { status_code: mapped.status, body: JSON.stringify(mapped.toBody()) };
      },
    });
  }

  /**
   * Answers a request of the tus protocol.
   * @param id of the upload it is about; null: it is about none, or begins one, which belongs to the caller
   * @throws ApiError `upload_not_found` for another's upload
   */
  async handle(request: Request, id: string | null, caller: Caller): Promise<Response> {
    const row = id === null ? null : this.#options.uploads.find(id);
    if (row && !sees(caller, row)) throw new ApiError('upload_not_found');
    if (row && request.method === 'HEAD') await this.#finishIfComplete(row);
    return this.#store.madeBy(caller.owner, () => this.#tus.handleWeb(request));
  }

  /** Turns a complete upload into a video, once, however often it is asked for. */
  finish(id: string): Promise<void> {
    let work = this.#finishing.get(id);
    if (!work) {
      work = this.#finish(id)
        .catch((error: unknown) => {
          // All its bytes are here, so it becomes a video whether or not its client asks again.
          const problem = storageProblem(error);
          if (problem !== null && this.#options.library.settlements.problemOf(id) === null) this.#options.library.settlements.whenRoom(id, problem, () => void this.finish(id).catch(() => undefined));
          throw error;
        })
        .finally(() => this.#finishing.delete(id));
      this.#finishing.set(id, work);
    }
    return work;
  }

  /** A client that asks how far its upload is may be about to learn that it is complete: then it must be a video too. */
  async #finishIfComplete({ id, finished, size }: UploadRow): Promise<void> {
    if (finished || size === null) return;
    const bytes = await fileBytes(this.#options.folder.upload(id));
    // Without its file it was moved to its video's folder, and the store could not be told.
    if (bytes === null || bytes === size) await this.finish(id);
  }

  /** After a start: what was complete becomes a video, what is not stays resumable, files without an upload go. */
  async recover(): Promise<void> {
    const { folder, uploads } = this.#options;
    for (const row of uploads.list()) {
      if (row.finished) continue;
      const bytes = await fileBytes(folder.upload(row.id));
      if (bytes !== null && bytes !== row.size) {
        this.#store.adopt(row.id, row.size === null ? 0 : row.size - bytes);
        continue;
      }
      await this.finish(row.id).catch((error: unknown) => {
        // Then it is finished when there is room.
        if (storageProblem(error) === null) throw error;
      });
    }
    const known = new Set(uploads.list().map((row) => row.id));
    for (const name of await readdir(folder.uploads)) {
      if (!known.has(name)) await rm(path.join(folder.uploads, name), { recursive: true, force: true });
    }
  }

  /**
   * Removes uploads that nobody went on with, and the memory of finished ones. Time is counted while the server runs, so that no clock, however
   * wrong at a start, removes what somebody is about to go on with.
   * @param elapsed_s since the last call
   */
  async removeExpired(elapsed_s: number): Promise<void> {
    for (const id of await this.age(elapsed_s)) await this.#store.remove(id);
  }

  /** Counts time in which the server ran. Gives the ids of uploads that are too old. */
  async age(elapsed_s: number): Promise<string[]> {
    const { folder, uploads, limits } = this.#options;
    const old: string[] = [];
    for (const row of uploads.list()) {
      const bytes = (await fileBytes(folder.upload(row.id))) ?? 0;
      if (uploads.count(row, bytes, elapsed_s) >= limits.uploadExpiry_s) old.push(row.id);
    }
    return old;
  }

  /** The error behind an answer of the tus package, in this server's one shape. */
  static errorOf(status: number, body: string): ApiError {
    const known = parsedError(body);
    if (known) return known;
    const code = codes[status] ?? 'upload_header_invalid';
    const reason = body.trim();
    return code === 'upload_header_invalid' && reason ? new ApiError(code, { message: `The upload request is wrong: ${reason}.` }) : new ApiError(code);
  }

  async #finish(id: string): Promise<void> {
    const { uploads, library } = this.#options;
    const row = uploads.find(id);
    if (!row || row.finished) return;
    const admitted = await library.admit(id, displayName(row.metadata['filename'] ?? row.metadata['name'] ?? null), row.owner);
    if (admitted) uploads.finish(id);
    else uploads.remove(id);
    this.#store.release(id);
  }
}

function parsedError(body: string): ApiError | null {
  if (!body.startsWith('{"error"')) return null;
  const { error } = JSON.parse(body) as ReturnType<ApiError['toBody']>;
  return new ApiError(error.code, { message: error.message, param: error.param });
}

/** A file name for people: without folders and control characters, of a length that fits a line. */
export function displayName(name: string | null): string {
  const base = (name ?? '').split(/[\\/]/).pop() ?? '';
  // Control characters, bidirectional overrides and line separators would disturb what is around the name.
  const clean = base.replace(/[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '').trim();
  // Cut between characters, not inside one.
  return [...clean.slice(0, 400)].slice(0, 200).join('') || 'video';
}
