import { open, stat } from 'node:fs/promises';
import { LRUCache } from 'lru-cache';
import { LinrFile } from '../../model/container/index.js';
import { fileSource } from '../../model/container/source.node.js';
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

/** Bytes of latents that are kept: at 256 numbers a frame, some 64,000 frames. Those of a longer video are read again each time. */
const keptBytes = 64 * 1024 * 1024;

/** Reads latents from containers, keeping those asked for last. */
export class LatentReader {
  readonly #kept = new LRUCache<string, VideoLatents>({ maxSize: keptBytes, sizeCalculation: ({ latents }) => latents.byteLength });

  /** Of the container as it is now. */
  async version(file: string): Promise<string> {
    return versionOf(await stat(file, { bigint: true }));
  }

  async read(file: string): Promise<VideoLatents> {
    const handle = await open(file, 'r');
    try {
      const version = versionOf(await handle.stat({ bigint: true }));
      const kept = this.#kept.get(file);
      if (kept?.version === version) return kept;
      const { latents, latentDim, meta } = await LinrFile.open(await fileSource(handle));
      const found = { latents, dim: latentDim, times_s: meta.times_s, duration_s: meta.duration_s, version, pack: meta.pack };
      this.#kept.set(file, found);
      return found;
    } finally {
      await handle.close();
    }
  }
}
