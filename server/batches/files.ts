import { createReadStream, createWriteStream, type ReadStream } from 'node:fs';
import { open, readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { moveDurably } from '../../model/runtime/durable.node.js';
import { ApiError } from '../errors.js';
import { newId, now_s } from '../ids.js';
import type { ApiFiles, FilePurpose, FileRow } from '../store/api-files.js';
import { withinRoom, type Disk } from '../store/disk.js';
import { fileBytes, PRIVATE_MODE, type DataFolder } from '../store/files.js';

/** Bytes that are on the disk but are no file yet: forgotten unless they are made one. */
export interface Draft {
  readonly id: string;
  readonly bytes: number;
}

/** The files of the files API. Bytes are on the disk before the store knows of them, and `recover` removes those it never came to know. */
export class FileShelf {
  constructor(
    private readonly folder: DataFolder,
    private readonly files: ApiFiles,
    private readonly disk: Disk,
  ) {}

  /**
   * Puts the bytes of an upload on the disk.
   * @param coming bytes that are announced, as far as known
   * @throws ApiError `disk_full`
   */
  async receive(stream: Readable, coming: number): Promise<Draft> {
    const claim = await this.disk.claim(coming);
    try {
      return await this.#write(async (part) => pipeline(stream, (chunks: AsyncIterable<Buffer>) => withinRoom(chunks, claim), createWriteStream(part, { mode: PRIVATE_MODE })));
    } finally {
      claim.release();
    }
  }

  /** Puts lines on the disk, each with an end of line. */
  writeLines(lines: Iterable<string>): Promise<Draft> {
    return this.#write(async (part) => {
      const handle = await open(part, 'w', PRIVATE_MODE);
      try {
        for (const line of lines) await handle.writeFile(`${line}\n`);
      } finally {
        await handle.close();
      }
    });
  }

  /** Makes it a file. */
  keep({ id, bytes }: Draft, owner: string | null, name: string, purpose: FilePurpose): FileRow {
    const row: FileRow = { id, owner, name, purpose, bytes, created_s: now_s(), age_s: 0 };
    this.files.add(row);
    return row;
  }

  async forget({ id }: Draft): Promise<void> {
    await rm(this.folder.file(id), { force: true });
  }

  /** @throws ApiError `file_not_found` where its bytes are gone */
  async open(id: string): Promise<ReadStream> {
    const handle = await open(this.folder.file(id), 'r').catch((cause: NodeJS.ErrnoException) => {
      throw cause.code === 'ENOENT' ? new ApiError('file_not_found', { cause }) : cause;
    });
    return handle.createReadStream();
  }

  /** The bytes of a file in pieces, as often as they are asked for. */
  read(id: string): AsyncIterable<Uint8Array> {
    return createReadStream(this.folder.file(id));
  }

  async remove(id: string): Promise<void> {
    await rm(this.folder.file(id), { force: true });
    this.files.remove(id);
  }

  /** After a start: bytes without a row and rows without bytes go. */
  async recover(): Promise<void> {
    const known = new Set<string>();
    for (const { id } of this.files.list()) {
      if ((await fileBytes(this.folder.file(id))) === null) this.files.remove(id);
      else known.add(id);
    }
    for (const name of await readdir(this.folder.files)) {
      if (!known.has(name)) await rm(path.join(this.folder.files, name), { recursive: true, force: true });
    }
  }

  async #write(fill: (part: string) => Promise<void>): Promise<Draft> {
    const id = newId('file');
    const file = this.folder.file(id);
    const part = `${file}.part`;
    try {
      await fill(part);
      await moveDurably(part, file);
      return { id, bytes: (await stat(file)).size };
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  }
}
