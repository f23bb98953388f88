/** Writing a pack: file after file into a folder beside its place, which gets its name when the last one lies there. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { PackError, parseManifest, type PackManifest } from './manifest.js';

export class PackWriter {
  private readonly files: Record<string, { sha256: string; bytes: number }> = {};

  private constructor(
    private readonly folder: string,
    private readonly temporary: string,
  ) {}

  /**
   * @param folder where the pack will lie; it may exist but must be empty
   * @throws PackError when something lies there already
   */
  static async create(folder: string): Promise<PackWriter> {
    const place = path.resolve(folder);
    const there = await readdir(place).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    if (there.length > 0) throw new PackError(`${place} is not empty; name a new folder for the pack`);
    const temporary = `${place}.${process.pid}.part`;
    await mkdir(temporary, { recursive: true });
    return new PackWriter(place, temporary);
  }

  async write(name: string, content: Uint8Array | string): Promise<void> {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    await writeFile(path.join(this.temporary, name), bytes);
    this.files[name] = { sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.byteLength };
  }

  /** Copies a file, however large. */
  async copy(name: string, from: string, signal?: AbortSignal): Promise<void> {
    const hash = createHash('sha256');
    let bytes = 0;
    const measured = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        hash.update(chunk);
        bytes += chunk.byteLength;
        yield chunk;
      }
    };
    await pipeline(createReadStream(from), measured, createWriteStream(path.join(this.temporary, name)), { ...(signal === undefined ? {} : { signal }) });
    this.files[name] = { sha256: hash.digest('hex'), bytes };
  }

  /**
   * Writes pack.json and gives the folder its name.
   * @throws PackError naming the field when the manifest is not valid; nothing is left behind then
   */
  async finish(manifest: Omit<PackManifest, 'format' | 'files'>): Promise<PackManifest> {
    try {
      const text = `${JSON.stringify({ format: 1, ...manifest, files: this.files }, null, 2)}\n`;
      const checked = parseManifest(text, 'pack.json');
      await writeFile(path.join(this.temporary, 'pack.json'), text);
      await rm(this.folder, { recursive: true, force: true });
      await rename(this.temporary, this.folder);
      return checked;
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  /** Removes what was written. */
  async discard(): Promise<void> {
    await rm(this.temporary, { recursive: true, force: true });
  }
}

/** SHA-256 of a file in lower-case hexadecimal, read in parts. */
export async function sha256OfFile(file: string, signal?: AbortSignal): Promise<string> {
  const hash: Hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { ...(signal === undefined ? {} : { signal }) })) hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}
