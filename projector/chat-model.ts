/** Answers about videos: latents and words in, words out. */
import pLimit, { type LimitFunction } from 'p-limit';
import {
  beamSearch,
  checkSampling,
  DecoderBatch,
  generate,
  KvCache,
  LanguageModel,
  scoreContinuations,
  type Decoder,
  type FinishReason,
  type GenerateOptions,
  type LanguageModelOptions,
  type Likelihood,
} from '../model/language/index.js';
import type { ConfidenceConfig, ModelPack, PackManifest } from '../model/pack/index.js';
import type { Runtime } from '../model/runtime/types.js';
import { Concepts, type Concept } from './concepts.js';
import { fitConversation, joinNeighbors } from './conversation.js';
import { promptEmbeddings } from './embeddings.js';
import { checkVideo, type ChatMessage, type VideoPart } from './messages.js';
import { Projector } from './network.js';
import { PrefixCache } from './prefix-cache.js';
import { buildPrompt, chooseFrames, latentsOf, type PromptToken } from './prompt.js';
import { PromptReading } from './prompt-reading.js';
import { ShortestFirst } from './shortest-first.js';
import { TokenCounts } from './token-counts.js';
import { VideoProjector } from './video-llama.js';

/** What to add to the scores of texts that a search has found (log probabilities a token, nearly), the higher the better the text. */
export type TextRank = (texts: readonly string[], messages: readonly ChatMessage[]) => Promise<readonly number[]>;

export interface ReplyOptions extends GenerateOptions {
  /** Continuations searched side by side; the likeliest text is given as a whole at the end. Default 1: words stream. Only relevant at temperature 0. */
  readonly beams?: number;
  /** Chooses among the texts the beams have ended with. Default: the likeliest. Only relevant with more than one beam. */
  readonly rank?: TextRank;
  /** As in SamplingOptions. Default 12, which ends loops and lets two scenes of an answer have one subject; 0 where a `grammar` is given, whose texts repeat. */
  readonly noRepeatNgram?: number;
}

export interface ReplyResult {
  readonly text: string;
  readonly finish: FinishReason;
  readonly usage: { readonly prompt_tokens: number; readonly cached_tokens: number; readonly completion_tokens: number };
  /** Since the call; `first_token` is when the first words could be shown. */
  readonly seconds: { readonly first_token: number; readonly total: number };
}

export interface ChatModelOptions extends LanguageModelOptions {
  /** Memory for the keys and values of past prompts, in bytes. Default: two conversations as long as they may be, at least 256 MiB, which is some 30 ordinary ones. */
  readonly cacheBytes?: number;
  /** Answers never depend on what is written beside them, not in the last digits either, which costs an answer that is written alone some speed. */
  readonly independent?: boolean;
  /** Searches with beams wait for each other: with many at once, the keys and values of all their beams would have to be held. */
  readonly searchesInTurn?: boolean;
}

const LEAST_CACHE_BYTES = 256 * 1024 * 1024;
/** Two people who take turns with long conversations each find theirs again. */
const CACHED_CONVERSATIONS = 2;
const DEFAULT_MAX_TOKENS = 256;
/** A prompt must leave room for at least a sentence. */
const SHORTEST_ANSWER = 16;
const MOST_BEAMS = 8;
const NO_REPEAT_NGRAM = 12;

export class ChatModel {
  private readonly prefixes: PrefixCache;
  private readonly counts: TokenCounts;
  /** Answers that are being written. */
  private readonly batch: DecoderBatch;
  private readonly prompts = new ShortestFirst();
  /** Runs one search after the other; null: all at once. */
  private readonly searches: LimitFunction | null;
  /** By latents: a prompt is built several times for a long conversation. */
  private readonly recognitions = new WeakMap<Float32Array, readonly Concept[]>();

  private constructor(
    private readonly language: LanguageModel,
    private readonly projector: Projector | VideoProjector,
    /** null for a pack that names nothing. */
    private readonly concepts: Concepts | null,
    private readonly manifest: PackManifest,
    { cacheBytes = defaultCacheBytes(language.decoder), independent = false, searchesInTurn = false }: ChatModelOptions,
  ) {
    this.counts = new TokenCounts(language.tokenizer);
    this.searches = searchesInTurn ? pLimit(1) : null;
    this.prefixes = new PrefixCache(cacheBytes);
    this.batch = new DecoderBatch(language.decoder, { leastRows: independent ? 2 : 1 });
  }

  /** Loads language model and projector of a pack. Runs block the thread: call this in a worker or a command-line tool. */
  static async load(pack: ModelPack, runtime: Runtime, options: ChatModelOptions = {}): Promise<ChatModel> {
    const language = await LanguageModel.load(pack, runtime, options);
    const { video } = pack.manifest.projector;
    const projector = video === undefined ? await Projector.load(pack, runtime) : await VideoProjector.load(pack, video, runtime);
    return new ChatModel(language, projector, await Concepts.load(pack), pack.manifest, options);
  }

  /** The question asked about a video when the user asks none. */
  get defaultQuestion(): string {
    return this.manifest.prompt.default_question;
  }

  /**
   * Answers the last message. Of a conversation that is longer than the context, the oldest turns are left out; system text and videos stay, and an
   * answer of `maxTokens` has room. Keys and values of everything this prompt shares with earlier ones (the system message,
   * a video's frames, past turns) are reused: a follow-up costs the last answer's and its own tokens only. Greedy
   * answers are the same whatever was asked before. Several answers may be written at once: of their prompts the shortest is run first, and the next
   * tokens of all answers in one run.
   * @yields text as it is written, whole characters
   * @throws PromptError when the messages or a video's latents cannot be used
   * @throws ContextError when the newest message, with its videos and the system text, leaves no room for an answer
   * @throws RangeError naming a sampling option that is out of range, and for a grammar with more than one beam
   */
  async *reply(messages: readonly ChatMessage[], given: ReplyOptions = {}): AsyncGenerator<{ text: string }, ReplyResult> {
    const started = performance.now();
    const options = { ...given, stop: [...(given.stop ?? []), ...(this.manifest.prompt.stop ?? [])] };
    const maxTokens = options.maxTokens ?? DEFAULT_MAX_TOKENS;
    const beams = options.beams ?? 1;
    const noRepeatNgram = options.noRepeatNgram ?? (options.grammar === undefined ? NO_REPEAT_NGRAM : 0);
    if (beams > 1 && options.grammar !== undefined) throw new RangeError(`beams is ${beams}; with a grammar it must be 1`);
    checkSampling(options);
    if (!(Number.isInteger(maxTokens) && maxTokens >= 1)) throw new RangeError(`maxTokens is ${maxTokens}; it must be a whole number above 0`);
    if (!(Number.isInteger(beams) && beams >= 1 && beams <= MOST_BEAMS)) throw new RangeError(`beams is ${beams}; it must be 1 to ${MOST_BEAMS}`);

    const { decoder, tokenizer } = this.language;
    const reading = this.reading(messages, { answer: maxTokens, shortest: Math.min(maxTokens, SHORTEST_ANSWER) }, options.signal);
    // Side by side, nobody's prompt would be ready before all are.
    await this.prompts.run(reading);
    const { length, held, logits } = reading;

    let text = '';
    let firstToken: number | null = null;
    const show = (piece: string): { text: string } => {
      firstToken ??= performance.now();
      text += piece;
      return { text: piece };
    };
    const result = (finish: FinishReason, completion: number): ReplyResult => {
      const ended = performance.now();
      return {
        text,
        finish,
        usage: { prompt_tokens: length, cached_tokens: held?.cached ?? 0, completion_tokens: completion },
        seconds: { first_token: ((firstToken ?? ended) - started) / 1000, total: (ended - started) / 1000 },
      };
    };

    if (logits === null || held === null) return result('cancelled', 0);
    const { cache } = held;
    if (beams > 1 && (options.temperature ?? 0) === 0) {
      const search = (): ReturnType<typeof beamSearch> => beamSearch(this.batch, cache, logits, { ...options, beams, maxTokens, noRepeatNgram });
      const { texts, finish } = await (this.searches?.(search) ?? search());
      const wholes = texts.map(({ tokens }) => cutAt(tokenizer.decode(tokens), options.stop));
      const added = finish === 'cancelled' ? undefined : await options.rank?.(wholes, messages);
      const scores = texts.map(({ score }, i) => score + (added?.[i] ?? 0));
      const best = scores.indexOf(Math.max(...scores));
      const whole = wholes[best] ?? '';
      if (whole !== '') yield show(whole);
      return result(finish, texts[best]?.tokens.length ?? 0);
    }
    const sequence = this.batch.join(cache);
    try {
      const writing = generate(decoder, tokenizer, sequence, logits, { ...options, maxTokens, noRepeatNgram });
      for (;;) {
        const next = await writing.next();
        if (next.done === true) return result(next.value.finish, next.value.completionTokens);
        yield show(next.value);
      }
    } finally {
      // Also when the caller stops listening in the middle.
      sequence.leave();
    }
  }

  /**
   * How likely each of `answers` is as the whole answer to the last message, its end included. The prompt is run once, cached parts of it
   * not at all.
   * @returns in the order of `answers`
   * @throws PromptError when the messages or a video's latents cannot be used
   * @throws RangeError when an answer is empty
   * @throws ContextError when the newest message and an answer do not fit the context
   * @throws the signal's reason when it is aborted
   */
  async score(messages: readonly ChatMessage[], answers: readonly string[], { signal }: { readonly signal?: AbortSignal } = {}): Promise<Likelihood[]> {
    const { decoder, tokenizer } = this.language;
    const continuations = answers.map((answer) => tokenizer.encode(tokenizer.neutralize(answer)));
    if (continuations.some((ids) => ids.length === 0)) throw new RangeError('an empty answer has no likelihood');
    const longest = Math.max(0, ...continuations.map((ids) => ids.length));
    const reading = this.reading(messages, { answer: longest, shortest: longest }, signal);
    await reading.finish();
    const { held, logits } = reading;
    const scores = logits === null || held === null ? null : await scoreContinuations(decoder, held.cache, logits, continuations, signal);
    if (scores !== null) return scores;
    signal?.throwIfAborted();
    throw new Error('the scores were given up without an abort');
  }

  /** Languages that questions may be in; null: any. */
  get languages(): readonly string[] | null {
    return this.manifest.language.languages ?? null;
  }

  /** What the witnesses for an answer are worth (confidence.ts); null: the pack has not learned that. */
  get confidence(): ConfidenceConfig | null {
    return this.manifest.confidence ?? null;
  }

  /** What the vision tower recognizes in the frames of a video that a prompt shows, the likeliest first. */
  recognized(video: VideoPart): readonly Concept[] {
    const known = this.recognitions.get(video.latents);
    if (known !== undefined) return known;
    const shown = chooseFrames(video.times_s.length, this.manifest.prompt.max_frames);
    const recognized = this.concepts?.recognized(latentsOf(video, shown)) ?? [];
    this.recognitions.set(video.latents, recognized);
    return recognized;
  }

  /** Tokens of the longest conversation, answer included. */
  get context(): number {
    return this.language.decoder.context;
  }

  /** Number of tokens the prompt of all `messages` has. */
  countTokens(messages: readonly ChatMessage[]): number {
    return this.prompt(messages).length;
  }

  async release(): Promise<void> {
    this.prefixes.clear();
    this.batch.release();
    await this.language.release();
    await this.projector.release();
  }

  /** The prompt of the turns that fit, to be run. */
  private reading(messages: readonly ChatMessage[], room: { readonly answer: number; readonly shortest: number }, signal: AbortSignal | undefined): PromptReading {
    const { decoder } = this.language;
    const { context } = decoder;
    const prompt = fitConversation(messages, {
      ...room, context, tokensOf: (text) => this.counts.of(text), videoTokens: (video) => this.videoTokens(video), build: (kept) => this.prompt(kept),
    });
    return new PromptReading(prompt, { decoder, prefixes: this.prefixes, embed: (tokens) => this.embeddings(tokens), signal });
  }

  private embeddings(tokens: readonly PromptToken[]): Promise<Float32Array> {
    return promptEmbeddings(tokens, { decoder: this.language.decoder, projector: this.projector, latent: this.manifest.latent });
  }

  private videoTokens({ times_s }: VideoPart): number {
    const { latent, prompt, projector } = this.manifest;
    return projector.video === undefined ? Math.min(times_s.length, prompt.max_frames) * latent.tokens : latent.tokens;
  }

  private prompt(messages: readonly ChatMessage[]): PromptToken[] {
    for (const { content } of messages) {
      for (const part of content) if (part.type === 'video') checkVideo(part, this.manifest.latent.dim);
    }
    return buildPrompt(joinNeighbors(messages), {
      tokenizer: this.language.tokenizer,
      template: this.language.template,
      prompt: this.manifest.prompt,
      tokensPerFrame: this.manifest.latent.tokens,
      whole: this.manifest.projector.video !== undefined,
      recognized: (video) => this.recognized(video).map(({ name }) => name),
    });
  }
}

function defaultCacheBytes({ context, config }: Decoder): number {
  return Math.max(LEAST_CACHE_BYTES, CACHED_CONVERSATIONS * context * KvCache.bytesPerToken(config));
}

function cutAt(text: string, stops: readonly string[]): string {
  const found = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
  return found.length === 0 ? text : text.slice(0, Math.min(...found));
}
