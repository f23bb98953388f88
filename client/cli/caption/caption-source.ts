/** Captions of one source: a file, or a video of a server. */
import { seededRandom } from '../../../model/runtime/random.js';
import type { LinrVideo } from '../../../model/video/linr-video.js';
import { openLinr } from '../../../model/video/open.node.js';
import { captionOnce } from '../../../projector/ask.js';
import { cutVideo } from '../../../projector/index.js';
import { checkedVideo, openAskable } from '../../../projector/library/askable.node.js';
import type { Models } from '../../../projector/library/models.js';
import { LatentChat } from '../../sdk/index.js';
import { type AnswerFormat, grammarOf } from '../answer-format.js';
import { errorField, inOrder, rounded, type Slots } from '../batch.js';
import { SERVER_VIDEO } from '../evaluate/data.js';
import { UserError } from '../failure.js';
import type { JsonLine } from '../json-lines.js';
import { framesFor, type Per, type Segment, segmentsOf } from './segments.js';

/** What decides what a caption says, beside the source and the model pack. */
export interface CaptionSettings {
  /** What to ask; null: the model pack's own question for a caption. */
  readonly prompt: string | null;
  readonly per: Per;
  readonly beams: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly seed: number;
  /** What a caption must be; it is then written word by word, without beams. */
  readonly format?: AnswerFormat;
}

export interface CaptionTask {
  /** A path, or `video://<id>`. */
  readonly source: string;
  /** Address of the server that has the video; null for files. */
  readonly server: string | null;
  /** Parts that an earlier run has written, from 1. */
  readonly written: readonly number[];
}

/** What captions of all sources share. */
export interface CaptionRun {
  readonly models: Models;
  readonly settings: CaptionSettings;
  /** Mark of the options, which every line carries. */
  readonly mark: string;
  /** Captions that are written at once, of all sources together. */
  readonly slots: Slots;
}

/**
 * One line a stretch of the source, in their order, each as soon as it and those before it are written. A source that cannot be used gives a
 * line with `error`.
 * @throws the signal's reason when it is aborted
 */
export async function* captionSource({ models, settings, mark, slots }: CaptionRun, task: CaptionTask, signal: AbortSignal): AsyncGenerator<JsonLine> {
  const { source } = task;
  const { manifest } = models.pack;
  try {
    const { per, beams, maxTokens, temperature, seed, format } = settings;
    const grammar = format === undefined ? null : await grammarOf(format);
    let started = performance.now();
    const video = await open(models, task, per, signal);
    const segments = segmentsOf(per, video, video.duration_s);
    const write = async (segment: Segment, part: number): Promise<JsonLine> => {
      const from = started;
      started = performance.now();
      const id = per === 'video' ? source : `${source}#${part}`;
      const random = seededRandom(`${seed} ${id}`);
      const reply = await captionOnce(models, cutVideo(video, segment), settings.prompt ?? manifest.prompt.default_question, {
        maxTokens,
        temperature,
        // Of its own for every line, so that it does not matter which were written before or beside it.
        seed: Math.floor(random() * 2 ** 32),
        beams: temperature === 0 && grammar === null ? beams : 1,
        ...(grammar === null ? {} : { grammar }),
        signal,
      });
      return {
        id,
        source,
        start_s: rounded(segment.start_s),
        end_s: rounded(segment.end_s),
        caption: reply.text.trim(),
        pack: manifest.id,
        run: mark,
        part,
        parts: segments.length,
        tokens: reply.usage.completion_tokens,
        seconds: rounded((performance.now() - from) / 1000),
      };
    };
    const parts = segments.map((segment, i) => ({ segment, part: i + 1 })).filter(({ part }) => !task.written.includes(part));
    yield* inOrder(parts, slots, ({ segment, part }) => write(segment, part));
  } catch (error) {
    signal.throwIfAborted();
    yield { id: source, source, ...errorField(error), pack: manifest.id, run: mark };
  }
}

async function open(models: Models, { source, server }: CaptionTask, per: Per, signal: AbortSignal): Promise<LinrVideo> {
  const id = SERVER_VIDEO.exec(source)?.[1];
  if (id === undefined) {
    return (await openAskable(source, models, { signal, frames: framesFor(per, models.pack.manifest.prompt.max_frames) })).video;
  }
  if (server === null) throw new UserError(`${source} is a video of a server: add --server with its address.`);
  const bytes = await new LatentChat({ baseUrl: server }).containerBytes(id, { signal });
  return checkedVideo(await openLinr(bytes, { name: source }), models);
}

/** Whether a line tells that its source is done, given the lines before it. */
export class WrittenParts {
  readonly #parts = new Map<string, { readonly written: number[]; total: number | null }>();

  constructor(lines: readonly JsonLine[]) {
    for (const line of lines) {
      const { source, part, parts } = line;
      if (typeof source !== 'string') continue;
      const known = this.#parts.get(source) ?? { written: [], total: null };
      if (line['error'] !== undefined) known.total = known.written.length;
      if (typeof part === 'number') known.written.push(part);
      if (typeof parts === 'number') known.total = parts;
      this.#parts.set(source, known);
    }
  }

  isDone(source: string): boolean {
    const known = this.#parts.get(source);
    return known !== undefined && known.total !== null && known.written.length >= known.total;
  }

  of(source: string): readonly number[] {
    return this.#parts.get(source)?.written ?? [];
  }
}
