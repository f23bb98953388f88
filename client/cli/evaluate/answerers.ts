/** Who answers: the model in this process, or a server through its public API. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { askOnce, captionOnce, momentFinder, questionMessages } from '../../../projector/ask.js';
import { asksAboutTime, CAPTION_BEAMS, ChoiceScorer, type Testimony, testimonyFor } from '../../../projector/index.js';
import type { Models } from '../../../projector/library/models.js';
import { LatentChat, LatentChatError } from '../../sdk/index.js';
import { UserError } from '../failure.js';
import { completeChat } from '../openai-chat.js';
import { SERVER_VIDEO } from './data.js';
import type { Item, Task } from './items.js';
import { type Row, rowsOf } from './rows.js';
import { RowError, SourceViews, type ViewOptions } from './views.js';

export interface Answer {
  readonly text: string;
  readonly tokens: number;
  /** What speaks for it, where that was asked for. */
  readonly testimony?: Testimony | null;
}

export interface Answerer {
  /** The model pack that answers. */
  readonly pack: string;
  /** Loads what every answer needs: what fails here is no item's fault. */
  prepare(): Promise<void>;
  rowsOf(item: Item): Promise<readonly Row[]>;
  /** @throws what is wrong with this item and row, or the signal's reason when it is aborted */
  answer(item: Item, row: Row, signal: AbortSignal): Promise<Answer>;
  release(): Promise<void>;
}

export interface AnswerOptions {
  readonly task: Task;
  readonly beams: number;
  readonly maxTokens: number;
  /** null: every row a source has. */
  readonly rows: readonly Row[] | null;
  /** Whether to keep what speaks for an answer from latents. Not of a server. Default: no. */
  readonly testify?: boolean;
}

export class LocalAnswerer implements Answerer {
  /** Of the item before: questions about one video follow each other. */
  #last: { readonly file: string; readonly moments: boolean; readonly views: SourceViews } | null = null;
  /** Without a video the answer depends on the question alone. */
  readonly #blind = new Map<string, Promise<Answer>>();
  #scorer: Promise<ChoiceScorer> | null = null;

  constructor(
    private readonly models: Models,
    private readonly options: AnswerOptions & ViewOptions,
  ) {}

  get pack(): string {
    return this.models.pack.manifest.id;
  }

  async prepare(): Promise<void> {
    await Promise.all([this.models.tower(), this.models.chat()]);
  }

  rowsOf(item: Item): Promise<readonly Row[]> {
    return rowsOf(item, this.options.rows);
  }

  async answer(item: Item, row: Row, signal: AbortSignal): Promise<Answer> {
    if (SERVER_VIDEO.test(item.file) && row !== 'none') throw new RowError(`${item.source} is a video of a server: add --server with its address.`);
    if (row !== 'none') return this.#ask(item, row, signal);
    const key = JSON.stringify([item.question, item.choices]);
    let known = this.#blind.get(key);
    if (known === undefined) {
      known = this.#ask(item, row, signal);
      this.#blind.set(key, known);
    }
    return known;
  }

  /** Views of an item's source, kept until another source's are asked for. */
  async views(item: Item): Promise<SourceViews> {
    const moments = item.question !== null && asksAboutTime(item.question);
    if (this.#last?.file === item.file && this.#last.moments === moments) return this.#last.views;
    const decoded = (await this.rowsOf(item)).includes('decoded');
    const views = new SourceViews(item, { decoded, moments }, this.models, this.options);
    this.#last = { file: item.file, moments, views };
    return views;
  }

  async #ask(item: Item, row: Row, signal: AbortSignal): Promise<Answer> {
    const video = row === 'none' ? null : await (await this.views(item)).video(row, signal);
    const question = item.question ?? this.models.pack.manifest.prompt.default_question;
    const { task, beams, maxTokens } = this.options;
    const options = { beams, maxTokens, signal, sayDoubt: false };
    if (item.choices === null) {
      const { text, usage } = await (task === 'captions' ? captionOnce(this.models, video, question, options) : askOnce(this.models, video, question, options, momentFinder(this.models)));
      const answer = { text: text.trim(), tokens: usage.completion_tokens };
      if (this.options.testify !== true || row !== 'latents') return answer;
      const chat = await this.models.chat();
      const testimony = await testimonyFor(chat, momentFinder(this.models), questionMessages(video, question), text, { signal });
      return { ...answer, testimony };
    }
    const scores = await (await this.#choices()).scores(questionMessages(video, question), item.choices, { signal });
    return { text: item.choices[scores.indexOf(Math.max(...scores))] ?? '', tokens: 0 };
  }

  #choices(): Promise<ChoiceScorer> {
    this.#scorer ??= this.models.chat().then((chat) => new ChoiceScorer(chat, momentFinder(this.models)));
    return this.#scorer;
  }

  release(): Promise<void> {
    return this.models.release();
  }
}

/** Asked of a server where the data asks nothing: what the default pack was trained to caption at. */
const CAPTION_QUESTION = 'Describe what you see in one sentence.';
/** Milliseconds between looks at a video that is not askable yet. */
const LOOK_MS = 200;

/** Asks a running server; files that are not on it yet are uploaded, and removed when another is asked about. */
export class ServerAnswerer implements Answerer {
  #last: { readonly file: string; readonly id: string; readonly uploaded: boolean } | null = null;

  private constructor(
    private readonly url: string,
    private readonly client: LatentChat,
    readonly pack: string,
    private readonly options: AnswerOptions,
  ) {}

  /** @throws UserError when the server cannot do what the options ask for, or does not answer */
  static async open(url: string, options: AnswerOptions): Promise<ServerAnswerer> {
    const unknown = options.rows?.find((row) => row === 'raw' || row === 'decoded');
    if (unknown !== undefined) throw new UserError(`A server answers from latents or from no video; leave "${unknown}" out of --rows.`);
    if (options.beams !== 1 && options.task === 'qa') throw new UserError('A server does not search for answers with beams; add --beams 1.');
    if (options.beams !== 1 && options.beams !== CAPTION_BEAMS) throw new UserError(`A server searches for captions with ${CAPTION_BEAMS} beams or not at all; add --beams ${CAPTION_BEAMS} or --beams 1.`);
    const answer = await fetch(new URL('v1/models', url.endsWith('/') ? url : `${url}/`)).catch((cause: unknown) => {
      throw new UserError(`${url} does not answer. Is a latentchat server running there?`, { cause });
    });
    const models = (await answer.json().catch(() => null)) as { data?: readonly { id?: unknown }[] } | null;
    const pack = models?.data?.[0]?.id;
    if (!answer.ok || typeof pack !== 'string') throw new UserError(`${url} names no model. Is a latentchat server running there, and has it loaded its model pack?`);
    return new ServerAnswerer(url, new LatentChat({ baseUrl: url }), pack, options);
  }

  async prepare(): Promise<void> {
    // The server has its model loaded.
  }

  async rowsOf(): Promise<readonly Row[]> {
    return this.options.rows ?? ['latents', 'none'];
  }

  async answer(item: Item, row: Row, signal: AbortSignal): Promise<Answer> {
    if (item.choices !== null) throw new RowError('Multiple choice is scored by likelihood, which a server does not give: leave out --server.');
    const text = { type: 'text', text: item.question ?? CAPTION_QUESTION } as const;
    const video = row === 'none' ? [] : [{ type: 'video_url', video_url: { url: `video://${await this.#videoOf(item.file, signal)}` } } as const];
    const request = { messages: [{ role: 'user', content: [...video, text] }], max_tokens: this.options.maxTokens, temperature: 0, seed: 1, caption: this.options.beams > 1 } as const;
    const answer = await completeChat({ baseUrl: new URL('v1', this.url.endsWith('/') ? this.url : `${this.url}/`).href, key: null }, request, signal);
    return { text: answer.text.trim(), tokens: answer.tokens };
  }

  async release(): Promise<void> {
    await this.#forget();
  }

  /** The id of the video on the server, once it can be asked about. */
  async #videoOf(file: string, signal: AbortSignal): Promise<string> {
    const named = SERVER_VIDEO.exec(file)?.[1];
    if (this.#last?.file === file) return this.#last.id;
    await this.#forget();
    const id = named ?? (await this.client.upload(await readFile(file), { name: path.basename(file), signal })).id;
    this.#last = { file, id, uploaded: named === undefined };
    for (;;) {
      const video = await this.client.videos.get(id, { signal });
      if (video.askable) return id;
      if (video.state === 'failed') throw new LatentChatError(video.error ?? { code: 'failed', message: `${file} could not be encoded.` });
      await wait(LOOK_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  async #forget(): Promise<void> {
    const { id, uploaded } = this.#last ?? {};
    this.#last = null;
    if (id !== undefined && uploaded === true) await this.client.videos.delete(id).catch(() => undefined);
  }
}
