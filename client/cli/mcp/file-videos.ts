/** The tools over files, without a server. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import pLimit from 'p-limit';
import { cutClip } from '../../../model/inr/clip.node.js';
import { shotsOf } from '../../../model/inr/shots.js';
import { isContainer } from '../../../model/video/path-source.node.js';
import { askOnce, captionOnce, momentFinder } from '../../../projector/ask.js';
import { cutVideo, stretchOf } from '../../../projector/index.js';
import { type Askable, framesToSearch, openAskable } from '../../../projector/library/askable.node.js';
import type { Models } from '../../../projector/library/models.js';
import { searchCandidates } from '../../../projector/library/search.js';
import { type Answer, type Caption, clipName, type FoundMoment, type ListedVideo, type Stretch, type VideoTools } from '../../../server/mcp/backend.js';
import { describeFailure, UserError } from '../failure.js';
import { type ModelOptions, openModels } from '../models.js';
import { freePlace } from './clip-files.js';

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
  readonly #turns = pLimit(1);

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
    return new FileVideos(await openModels(options), new Map(entries.map((entry) => [entry.id, entry])), options.clips);
  }

  list(): Promise<readonly ListedVideo[]> {
    return Promise.resolve([...this.entries.values()].map(({ id, file, facts }) => ({ id, name: path.basename(file), ...facts })));
  }

  search(query: string, videos: readonly string[] | null, limit: number, signal: AbortSignal): Promise<readonly FoundMoment[]> {
    return this.#inTurn(signal, async () => {
      const entries = [...this.entries.values()].filter(({ id }) => videos === null || videos.includes(id));
      const candidates = entries.map((entry) => ({ id: entry.id, video: async () => (await this.#open(entry, signal)).video }));
      // Where files were not named one by one, one that cannot be read does not keep the others from being found.
      const passOver = videos === null ? { onUnusable: () => undefined } : {};
      const hits = await searchCandidates(candidates, query, await this.models.search(), { limit, signal, ...passOver });
      return hits.map((hit) => ({ ...hit, name: path.basename(this.#entry(hit.video).file) }));
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
      const { video } = await this.#open(this.#entry(id), signal);
      const stretch = part === null ? null : stretchOf(video, { kind: 'seconds', from: part.start_s, to: part.end_s });
      if (part !== null && stretch === null) throw new UserError(`The video ends at ${video.duration_s.toFixed(1)} s.`);
      const { start_s, end_s } = stretch ?? { start_s: 0, end_s: video.duration_s };
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
      const { latents, dim, times_s, duration_s } = (await this.#open(this.#entry(id), signal)).video;
      return shotsOf(latents, dim, times_s, duration_s);
    });
  }

  async close(): Promise<void> {
    await this.#turns(() => this.models.release());
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
      const { duration_s, frames } = askable.video;
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
    return this.#turns(() => {
      signal.throwIfAborted();
      return work();
    });
  }
}
