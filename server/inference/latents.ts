import { open, stat } from 'node:fs/promises';
import { ContainerError, readHead } from '../../model/container/index.js';
import { versionOf } from '../store/files.js';

/** The latent dictionary of a video as a prompt takes it. */
export interface VideoLatents {
  /** (T, dim), row-major. */
  readonly latents: Float32Array;
  readonly dim: number;
  /** (T) seconds. */
  readonly times_s: Float64Array;
  readonly duration_s: number;
  /** Of the container they were read from. */
  readonly version: string;
  /** The model pack they were aligned to. */
  readonly pack: { readonly id: string; readonly feature_space: string };
}

/** Bytes read at first; most heads are smaller. */
const firstRead = 256 * 1024;
/** Bytes of latents that are kept: at 256 numbers a frame, some 64,000 frames. */
const keptBytes = 64 * 1024 * 1024;

/** Reads latents from containers, keeping those asked for last. */
export class LatentReader {
  readonly #kept = new Map<string, VideoLatents>();
  #bytes = 0;

  /** Of the container as it is now. */
  async version(file: string): Promise<string> {
    return versionOf(await stat(file, { bigint: true }));
  }

  async read(file: string): Promise<VideoLatents> {
    const handle = await open(file, 'r');
    try {
      const stats = await handle.stat({ bigint: true });
      const version = versionOf(stats);
      const kept = this.#kept.get(file);
      if (kept?.version === version) {
        this.#keep(file, kept);
        return kept;
      }
      const length = Number(stats.size);
      const read = async (bytes: number) => {
        const buffer = Buffer.alloc(Math.min(bytes, length));
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
        return buffer.subarray(0, bytesRead);
      };
      const { container } = await readGrowing(read, length);
      const found = { latents: container.latents, dim: container.latentDim, times_s: container.meta.times_s, duration_s: container.meta.duration_s, version, pack: container.meta.pack };
      this.#keep(file, found);
      return found;
    } finally {
      await handle.close();
    }
  }

  #keep(file: string, found: VideoLatents): void {
    const old = this.#kept.get(file);
    if (old) this.#bytes -= old.latents.byteLength;
    this.#kept.delete(file);
    this.#kept.set(file, found);
    this.#bytes += found.latents.byteLength;
    for (const [oldest, entry] of this.#kept) {
      if (this.#bytes <= keptBytes || oldest === file) break;
      this.#kept.delete(oldest);
      this.#bytes -= entry.latents.byteLength;
    }
  }
}

async function readGrowing(read: (bytes: number) => Promise<Uint8Array>, length: number): Promise<ReturnType<typeof readHead>> {
  try {
    return readHead(await read(firstRead));
  } catch (error) {
    if (!(error instanceof ContainerError) || error.code !== 'truncated' || length <= firstRead) throw error;
    return readHead(await read(Math.max(error.neededBytes ?? length, firstRead)));
  }
}
