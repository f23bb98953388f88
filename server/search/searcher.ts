/** Search over the videos of the library, in the inference worker: a step at a time, so that answers being written go on beside it. */
import { LRUCache } from 'lru-cache';
import { ContainerError } from '../../model/container/index.js';
import type { ModelPack, PackManifest } from '../../model/pack/index.js';
import { BestHits, hitsOf, meanVector, MomentSearch, vectorOf, type IndexedVideo } from '../../model/retrieval/index.js';
import type { Runtime } from '../../model/runtime/types.js';
import { checkFeatureSpace, PromptError } from '../../projector/index.js';
import { ApiError } from '../errors.js';
import type { LatentReader } from '../inference/latents.js';
import type { Embedding, EmbedTask, SearchedVideo, SearchHit, SearchTask } from './messages.js';
import { readVectors, writeVectors } from './vectors-file.js';

/** Bytes of vectors that are kept in memory: at 512 a frame, 250,000 frames, or two thousand minutes at two a second. */
const KEPT_BYTES = 128 * 1024 * 1024;

export class Searcher {
  readonly #pack: ModelPack;
  readonly #latents: LatentReader;
  readonly moments: MomentSearch;
  readonly #kept = new LRUCache<string, { readonly version: string; readonly video: IndexedVideo }>({ maxSize: KEPT_BYTES, sizeCalculation: ({ video }) => bytesOf(video) });

  private constructor(pack: ModelPack, latents: LatentReader, moments: MomentSearch) {
    this.#pack = pack;
    this.#latents = latents;
    this.moments = moments;
  }

  /** @throws PackError for a pack without retrieval towers */
  static async load(pack: ModelPack, runtime: Runtime, latents: LatentReader): Promise<Searcher> {
    return new Searcher(pack, latents, await MomentSearch.load(pack, runtime));
  }

  /**
   * Searches; each step is a video.
   * @throws ApiError `frame_not_found`
   * @throws PromptError when a video's latents are of another feature space
   */
  async *search({ query, videos, named, scope, limit }: SearchTask): AsyncGenerator<undefined, readonly SearchHit[]> {
    const own = 'like' in query ? query.like : null;
    const vector = own === null ? await this.moments.textVector((query as { text: string }).text) : await this.#frameVector(own.video, own.frame);
    yield;
    const best = new BestHits<SearchHit>(limit);
    for (const video of videos) {
      const indexed = await this.#indexed(video).catch((error: unknown) => {
        // Deleted while it waited for its turn.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        if (!named && (error instanceof PromptError || error instanceof ContainerError)) return null;
        throw error;
      });
      if (indexed !== null) {
        const except = own?.video.id === video.id ? own.frame : null;
        best.add(hitsOf(indexed, vector, scope, except).map((hit) => ({ video: video.id, ...hit })));
      }
      yield;
    }
    return best.list;
  }

  /** A text's vector, or the middle of a video's frames': what a search compares. @throws PromptError when a video's latents are of another feature space */
  async embed(task: EmbedTask): Promise<Embedding> {
    if ('video' in task) return { vector: meanVector((await this.#indexed(task.video)).vectors), tokens: 0 };
    return { vector: await this.moments.textVector(task.text), tokens: await this.moments.textTokens(task.text) };
  }

  async #frameVector(video: SearchedVideo, frame: number): Promise<Float32Array> {
    const { vectors } = await this.#indexed(video);
    const frames = vectors.scales.length;
    if (frame >= frames) {
      throw new ApiError('frame_not_found', { param: 'like.frame', message: `The video has ${frames} frames; the last is ${frames - 1}, got ${frame}.` });
    }
    return vectorOf(vectors, frame);
  }

  async #indexed(video: SearchedVideo): Promise<IndexedVideo> {
    const version = await this.#latents.version(video.file);
    const kept = this.#kept.get(video.id);
    if (kept?.version === version) return kept.video;
    const towers = towersOf(this.#pack.manifest);
    const stored = await readVectors(video.vectorsFile, { version, towers });
    if (stored !== null) return this.#keep(video.id, version, stored);
    const read = await this.#latents.read(video.file);
    checkFeatureSpace(read.pack, this.#pack.manifest);
    const indexed = await this.moments.index(read);
    // A disk that is full costs the next search time, nothing else.
    await writeVectors(video.vectorsFile, { version: read.version, towers }, indexed).catch(() => undefined);
    return this.#keep(video.id, read.version, indexed);
  }

  #keep(id: string, version: string, video: IndexedVideo): IndexedVideo {
    this.#kept.set(id, { version, video });
    return video;
  }
}

function bytesOf({ vectors: { numbers, scales }, times_s }: IndexedVideo): number {
  return numbers.byteLength + scales.byteLength + Float64Array.BYTES_PER_ELEMENT * times_s.length;
}

/** Names the towers that vectors were made with. */
function towersOf(manifest: PackManifest): string {
  return manifest.files['retrieval.safetensors']?.sha256 ?? '';
}
