import { LRUCache } from 'lru-cache';
import type { ContainerInfo, DecodedFrame, DecoderAnswer, DecoderRequest, DecoderResults } from './decoder-protocol.js';

/** What is decoded first when several wait: what the viewer looks at now before what they may look at next. */
export const priority = { shown: 0, ahead: 1, thumbnail: 2, strip: 3 } as const;
export type Priority = (typeof priority)[keyof typeof priority];

/** Thrown by a job that nobody wanted any more when its turn came. */
export class Superseded extends Error {}

interface Job {
  readonly order: Priority;
  readonly wanted: () => boolean;
  readonly run: () => Promise<void>;
  readonly drop: () => void;
}

/** One container the worker can open: its key names this version of this video for good. */
export interface ContainerSource {
  readonly key: string;
  /** Everything of one video shares a group; opening a newer version closes the older. */
  readonly group: string;
  /** Address of the `.linr` file; its parts are fetched as they are needed. */
  readonly url: string;
}

/** Containers kept open in the worker: each holds a network and its session, a few megabytes. */
const mostOpen = 6;
/** Bytes of decoded frames kept for going back to. */
const frameBudget = 128 * 1024 * 1024;

/** The decoder behind its worker: opens containers when first needed, decodes one frame at a time, most wanted first. */
export class Decoder {
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  readonly #open = new Map<string, { readonly group: string; readonly info: Promise<ContainerInfo> }>();
  readonly #frames = new LRUCache<string, DecodedFrame>({ maxSize: frameBudget, sizeCalculation: bytesOf, dispose: ({ bitmap }) => bitmap.close() });
  #jobs: Job[] = [];
  #busy = false;
  /** The container being decoded from now: it must stay open until its frame is there. */
  #inUse: string | null = null;
  #worker: Worker | null = null;
  #nextId = 1;

  /** Reads a container and says what it holds. */
  info(source: ContainerSource): Promise<ContainerInfo> {
    const known = this.#open.get(source.key);
    if (known) {
      this.#open.delete(source.key); // Back in as the most recently used.
      this.#open.set(source.key, known);
      return known.info;
    }
    const info = this.#ask('open', { op: 'open', key: source.key, url: source.url });
    this.#open.set(source.key, { group: source.group, info });
    info.catch(() => this.#open.delete(source.key));
    this.#closeUnused(source);
    return info;
  }

  /** A frame that has been decoded before and is still at hand. */
  cached(source: ContainerSource, index: number, width: number): DecodedFrame | null {
    return this.#frames.get(frameKey(source, index, width)) ?? null;
  }

  /**
   * Decodes a frame, `width` pixels wide; `index` may lie between two frames. The bitmap belongs to the cache: draw it at once, do not close it.
   * @param wanted asked when the frame's turn comes; false gives the turn away and rejects with {@link Superseded}.
   */
  async frame(source: ContainerSource, index: number, width: number, order: Priority, wanted: () => boolean = () => true): Promise<DecodedFrame> {
    const cached = this.cached(source, index, width);
    if (cached) return cached;
    return new Promise<DecodedFrame>((resolve, reject) => {
      const run = async (): Promise<void> => {
        this.#inUse = source.key;
        try {
          await this.info(source);
          const frame = await this.#ask('frame', { op: 'frame', key: source.key, index, width });
          this.#frames.set(frameKey(source, index, width), frame);
          resolve(frame);
        } catch (error) {
          reject(error as Error);
        }
      };
      this.#jobs.push({ order, wanted, run, drop: () => reject(new Superseded()) });
      void this.#work();
    });
  }

  /** The latents of a container as a picture; the caller owns the bitmap. */
  async latents(source: ContainerSource): Promise<ImageBitmap> {
    await this.info(source);
    return this.#ask('latents', { op: 'latents', key: source.key });
  }

  /** (N, D) latents of some frames, row-major. */
  async vectors(source: ContainerSource, indices: Uint32Array): Promise<Float32Array<ArrayBuffer>> {
    await this.info(source);
    return this.#ask('vectors', { op: 'vectors', key: source.key, indices });
  }

  #closeUnused(current: ContainerSource): void {
    const keys = [...this.#open].filter(([key, { group }]) => key !== current.key && group === current.group).map(([key]) => key);
    const oldest = [...this.#open.keys()].filter((key) => key !== current.key && !keys.includes(key));
    keys.push(...oldest.slice(0, Math.max(0, oldest.length + 1 - mostOpen)));
    for (const key of keys.filter((name) => name !== this.#inUse)) {
      const entry = this.#open.get(key);
      this.#open.delete(key);
      void entry?.info.then(() => this.#ask('close', { op: 'close', key })).catch(() => undefined);
    }
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (let job = this.#nextJob(); job; job = this.#nextJob()) await job.run();
    this.#busy = false;
  }

  #nextJob(): Job | undefined {
    for (;;) {
      const first = this.#jobs.reduce<Job | undefined>((best, job) => (best && best.order <= job.order ? best : job), undefined);
      if (!first) return undefined;
      this.#jobs = this.#jobs.filter((job) => job !== first);
      if (first.wanted()) return first;
      first.drop();
    }
  }

  #ask<Op extends keyof DecoderResults>(_op: Op, request: WithoutId<Extract<DecoderRequest, { op: Op }>>): Promise<DecoderResults[Op]> {
    const worker = (this.#worker ??= this.#start());
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ ...request, id });
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL('./decoder-worker.js', import.meta.url), { type: 'module', name: 'decoder' });
    worker.addEventListener('message', (event: MessageEvent<DecoderAnswer>) => {
      const { id, ...answer } = event.data;
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if ('error' in answer) waiting?.reject(new Error(answer.error));
      else waiting?.resolve(answer.result as never);
    });
    worker.addEventListener('error', (event) => this.#crashed(event.message));
    return worker;
  }

  /** The worker ended (out of memory, or its script did not load): everything that waits fails, the next call starts anew. */
  #crashed(reason: string): void {
    this.#worker?.terminate();
    this.#worker = null;
    this.#open.clear();
    for (const { reject } of this.#waiting.values()) reject(new Error(reason || 'The decoder could not be started.'));
    this.#waiting.clear();
  }
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

function frameKey(source: ContainerSource, index: number, width: number): string {
  return `${source.key}/${width}/${index}`;
}

function bytesOf({ bitmap }: DecodedFrame): number {
  return bitmap.width * bitmap.height * 4;
}
