/** The tools over files, without a server. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { cutClip } from '../../../model/inr/clip.node.js';
import { shotsOf } from '../../../model/inr/shots.js';
import { BestHits, hitsOf, type Hit } from '../../../model/retrieval/index.js';
import { cutVideo, stretchOf } from '../../../projector/index.js';
import { clipName, type Answer, type Caption, type FoundMoment, type ListedVideo, type Stretch, type VideoTools } from '../../../server/mcp/backend.js';
import { askOnce, captionOnce, framesToSearch, momentFinder, openAskable, type Askable } from '../ask.js';
import { describeFailure, UserError } from '../failure.js';
import { isContainer } from '../sources.js';
import { freePlace } from './clip-files.js';
import { Models, type ModelOptions } from '../models.js';

/** Tokens of an answer when the caller names no number; as the server's. */
const ANSWER_TOKENS = 256;

/** Seconds; as the server's. */
const LONGEST_CLIP_S = 600;

/** A file, and what is known of it. */
interface Entry {
  readonly id: string;
  readonly file: string;
  opened: Promise<Askable> | null;
  facts: Pick<ListedVideo, 'kind' | 'duration_s' | 'askable' | 'state'>;
}

/**
 * Each file's latents are made when they are first needed and kept. Calls are served one after another: there is one model.
 */
export class FileVideos implements VideoTools {
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly models: Models,
    private readonly entries: ReadonlyMap<string, Entry>,
    /** Folder for clips. */
    private readonly clips: string,
  ) {}

  /** The files are not looked at before a tool asks for them. */
  static async open(files: readonly string[], options: ModelOptions & { readonly clips: string }): Promise<FileVideos> {
    const entries = files.map((file): Entry => {
      const id = `vid_${createHash('sha256').update(path.resolve(file)).digest('hex').slice(0, 24)}`;
      return { id, file, opened: null, facts: { kind: 'video', duration_s: null, askable: true, state: 'not read yet' } };
    });
    return new FileVideos(await Models.open(options), new Map(entries.map((entry) => [entry.id, entry])), options.clips);
  }

  list(): Promise<readonly ListedVideo[]> {
    return Promise.resolve([...this.entries.values()].map(({ id, file, facts }) => ({ id, name: path.basename(file), ...facts })));
  }

  search(query: string, videos: readonly string[] | null, limit: number, signal: AbortSignal): Promise<readonly FoundMoment[]> {
    return this.#inTurn(signal, async () => {
      const towers = await this.models.search();
      const vector = await towers.textVector(query);
      const best = new BestHits<Hit & FoundMoment>(limit);
      for (const entry of this.entries.values()) {
        if (videos !== null && !videos.includes(entry.id)) continue;
        signal.throwIfAborted();
        const askable = await this.#open(entry, signal).catch((error: unknown) => {
          // Where files were not named one by one, one that cannot be read does not keep the others from being found.
          if (videos !== null) throw error;
          signal.throwIfAborted();
          return null;
        });
        if (askable === null) continue;
        const { video, container } = askable;
        const indexed = await towers.index({ ...video, duration_s: container.meta.duration_s });
        best.add(hitsOf(indexed, vector, 'segments', null).map((hit) => ({ ...hit, video: entry.id, name: path.basename(entry.file) })));
      }
      return best.list;
    });
  }

  ask(id: string, question: string, maxTokens: number | null, signal: AbortSignal): Promise<Answer> {
    return this.#inTurn(signal, async () => {
      const { video } = await this.#open(this.#entry(id), signal);
      const { text, finish, annotations } = await askOnce(this.models, video, question, { maxTokens: maxTokens ?? ANSWER_TOKENS, signal }, momentFinder(this.models));
      return { answer: text, moments: annotations, complete: finish === 'stop' };
    });
  }

  caption({ id }: ListedVideo, part: Stretch | null, signal: AbortSignal): Promise<Caption> {
    return this.#inTurn(signal, async () => {
      const { video, container } = await this.#open(this.#entry(id), signal);
      const stretch = part === null ? null : stretchOf(video, { kind: 'seconds', from: part.start_s, to: part.end_s });
      if (part !== null && stretch === null) throw new UserError(`The video ends at ${container.meta.duration_s.toFixed(1)} s.`);
      const { start_s, end_s } = stretch ?? { start_s: 0, end_s: container.meta.duration_s };
      const shown = stretch === null ? video : cutVideo(video, stretch);
      const { text } = await captionOnce(this.models, shown, this.models.pack.manifest.prompt.default_question, { maxTokens: ANSWER_TOKENS, signal });
      return { caption: text.trim(), start_s, end_s };
    });
  }

  clip({ id, name }: ListedVideo, part: Stretch, signal: AbortSignal): Promise<string> {
    return this.#inTurn(signal, async () => {
      const { file } = this.#entry(id);
      const output = await freePlace(this.clips, clipName(name, part));
      const kind = (await isContainer(file)) ? 'container' : 'video';
      await cutClip({ file, name, kind, from_s: part.start_s, to_s: part.end_s, longest_s: LONGEST_CLIP_S, output, threads: 1, signal });
      return output;
    });
  }

  shots(id: string, signal: AbortSignal): Promise<readonly Stretch[]> {
    return this.#inTurn(signal, async () => {
      const { container } = await this.#open(this.#entry(id), signal);
      return shotsOf(container.latents, container.latentDim, container.meta.times_s, container.meta.duration_s);
    });
  }

  async close(): Promise<void> {
    await this.#last;
    await this.models.release();
  }

  #entry(id: string): Entry {
    const entry = this.entries.get(id);
    if (!entry) throw new UserError(`There is no video "${id}".`);
    return entry;
  }

  async #open(entry: Entry, signal: AbortSignal): Promise<Askable> {
    entry.opened ??= openAskable(entry.file, this.models, { signal, frames: framesToSearch });
    try {
      const askable = await entry.opened;
      const { duration_s, frames } = askable.container.meta;
      entry.facts = { kind: frames === 1 ? 'photo' : 'video', duration_s, askable: true, state: 'ready' };
      return askable;
    } catch (error) {
      // Tried anew when it is asked for again: the file may have been mended, or the call given up.
      entry.opened = null;
      if (!signal.aborted) entry.facts = { ...entry.facts, askable: false, state: `failed: ${describeFailure(error)}` };
      throw error;
    }
  }

  #inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => {
      signal.throwIfAborted();
      return work();
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
