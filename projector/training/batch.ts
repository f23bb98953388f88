/**
 * Captioned videos as the tensors of a training step. A batch has one root, the tokens that all prompts begin with, run once; a row is one
 * video's prompt after the root and several answers behind it, each of which sees the root, the prompt and itself, but not the others.
 */
import type { TextTokenizer } from '../../model/language/index.js';
import { rotaryFrequencies } from '../../model/language/rotary.js';
import type { LanguageConfig } from '../../model/pack/index.js';
import { float32, int64, type HostTensor } from '../../model/runtime/tensor.js';
import type { ChatMessage, VideoPart } from '../messages.js';
import { buildPrompt, type PromptContext, type PromptToken } from '../prompt.js';
import type { StepShape } from './step.js';

/** What a query does not see: far below any score, and no infinity, so that rows of padding stay numbers. */
const HIDDEN_SCORE = -1e30;
/** Tokens of answers a row holds, their ends included: five captions of a dozen words. */
const ANSWER_BUDGET = 64;

/** A video and what may be said about it. */
export interface Example {
  readonly prompt: readonly PromptToken[];
  /** Token ids of each answer, at least one, without the end. */
  readonly answers: readonly (readonly number[])[];
}

/** @throws PromptError when the video cannot be shown */
export function makeExample(video: VideoPart, question: string, answers: readonly string[], tokenizer: TextTokenizer, context: PromptContext): Example {
  const message: ChatMessage = { role: 'user', content: [video, { type: 'text', text: question }] };
  const ids = answers.map((answer) => tokenizer.encode(tokenizer.neutralize(answer)).slice(0, ANSWER_BUDGET - 1));
  return { prompt: buildPrompt([message], context), answers: ids.filter((answer) => answer.length > 0) };
}

export interface BatchPlan {
  /** Ids that every prompt begins with; at least one, never all of a prompt. */
  readonly root: readonly number[];
  readonly shape: StepShape;
}

/** The sizes of a training step that has room for any of these examples. */
export function planBatches(examples: readonly Example[], config: LanguageConfig, sizes: { readonly batch: number; readonly rank: number; readonly latent: number; readonly tokensPerFrame: number; readonly inner: number }): BatchPlan {
  const prompts = examples.map(({ prompt }) => prompt);
  const first = prompts[0] ?? [];
  let length = 0;
  const same = (at: number): boolean => typeof first[at] === 'number' && prompts.every((prompt) => prompt[at] === first[at] && prompt.length > at + 1);
  while (same(length)) length++;
  if (length === 0) throw new RangeError('the prompts begin with different tokens: the chat template must start every conversation alike');
  const longest = prompts.reduce((most, prompt) => Math.max(most, prompt.length), 0) - length;
  const frames = prompts.reduce((most, prompt) => Math.max(most, framesOf(prompt).length), 0);
  const answered = examples.reduce((most, { answers }) => Math.max(most, answers.reduce((sum, { length: count }) => sum + count + 1, 0)), 0);
  const budget = Math.min(ANSWER_BUDGET, answered);
  return {
    root: first.slice(0, length) as number[],
    shape: {
      batch: sizes.batch,
      length: longest + budget,
      root: length,
      scored: sizes.batch * budget,
      layers: config.layers,
      hidden: config.hidden,
      heads: config.heads,
      kvHeads: config.kv_heads,
      headDim: config.head_dim,
      intermediate: config.intermediate,
      vocabulary: config.vocab,
      rank: sizes.rank,
      rmsEpsilon: config.rms_eps,
      projector: { frames: sizes.batch * frames, latent: sizes.latent, tokens: sizes.tokensPerFrame, inner: sizes.inner },
    },
  };
}

/** Makes batches of one plan; the arrays are made anew for each. */
export class Batcher {
  private readonly cos: Float32Array;
  private readonly sin: Float32Array;
  private readonly rootMask: HostTensor;

  constructor(
    private readonly plan: BatchPlan,
    private readonly config: LanguageConfig,
    /** Embeddings (ids.length, H). */
    private readonly embed: (ids: readonly number[]) => Float32Array,
  ) {
    const { root, length, heads, kvHeads, headDim } = plan.shape;
    const positions = root + length;
    const frequencies = rotaryFrequencies(config, positions);
    const half = headDim / 2;
    const table = (turn: (angle: number) => number): Float32Array => Float32Array.from({ length: positions * half }, (_, i) => turn(Math.floor(i / half) * (frequencies[i % half] as number)));
    [this.cos, this.sin] = [table(Math.cos), table(Math.sin)];
    const group = heads / kvHeads;
    const mask = new Float32Array(group * root * root);
    for (let i = 0; i < mask.length; i++) if (i % root > Math.floor(i / root) % root) mask[i] = HIDDEN_SCORE;
    this.rootMask = float32(mask, [1, 1, group * root, root]);
  }

  /**
   * @param examples as many as the plan's rows at most; empty rows count nothing
   * @param order which of an example's answers come first, until its row is full; a number in [0, 1) each time it is called
   * @returns the feeds that change from step to step, and the tokens that count
   */
  batch(examples: readonly Example[], order: () => number): { feeds: Record<string, HostTensor>; tokens: number } {
    const { shape, root } = this.plan;
    const { batch, length, scored, heads, kvHeads, hidden, vocabulary, projector } = shape;
    if (projector === undefined) throw new RangeError('a batch of videos needs the projector in its step');
    const group = heads / kvHeads;
    const [tokens, keys, budget] = [root.length + batch * length, root.length + length, scored / batch];
    const ids = new Array<number>(tokens).fill(-1);
    const positions = new Array<number>(tokens).fill(0);
    const place = new Array<number>(tokens).fill(0);
    const latents = new Float32Array(projector.frames * projector.latent);
    const mask = new Float32Array(batch * group * length * keys).fill(HIDDEN_SCORE);
    const [at, targets] = [new Array<number>(scored).fill(0), new Array<number>(scored).fill(0)];
    const share = new Float32Array(scored);
    let [counted, frameRow] = [0, 0];

    root.forEach((id, i) => ([ids[i], positions[i]] = [id, i]));
    const score = (position: number, target: number): void => {
      [at[counted], targets[counted], share[counted]] = [position, target, 1];
      counted++;
    };
    /** In row `row`, token `i` sees the root, tokens 0..shared-1 that came before it, and tokens from `own` to itself. */
    const see = (row: number, i: number, shared: number, own: number): void => {
      for (let g = 0; g < group; g++) {
        const start = ((row * group + g) * length + i) * keys;
        mask.fill(0, start, start + root.length + Math.min(shared, i + 1));
        mask.fill(0, start + root.length + own, start + root.length + i + 1);
      }
    };
    for (let row = 0; row < batch; row++) {
      const start = root.length + row * length;
      const example = examples[row];
      if (example === undefined) {
        for (let i = 0; i < length; i++) see(row, i, 0, i);
        continue;
      }
      const prompt = example.prompt.slice(root.length);
      const known = new Map<number, number>();
      prompt.forEach((token, i) => {
        [positions[start + i]] = [root.length + i];
        see(row, i, i + 1, i);
        if (typeof token === 'number') return void (ids[start + i] = token);
        const [shown] = token.frames as [number];
        let frame = known.get(shown);
        if (frame === undefined) {
          frame = frameRow++;
          known.set(shown, frame);
          latents.set(token.video.latents.subarray(shown * projector.latent, (shown + 1) * projector.latent), frame * projector.latent);
        }
        place[start + i] = 1 + frame * projector.tokens + token.slot;
      });
      let [used, end] = [0, prompt.length];
      for (const answer of shuffled(example.answers, order)) {
        if (used + answer.length + 1 > budget) continue;
        used += answer.length + 1;
        const own = end;
        score(start + prompt.length - 1, answer[0] as number);
        answer.forEach((id, i) => {
          [ids[start + end], positions[start + end]] = [id, root.length + prompt.length + i];
          see(row, end, prompt.length, own);
          score(start + end, answer[i + 1] ?? this.config.eos);
          end++;
        });
      }
      for (let i = end; i < length; i++) see(row, i, 0, i);
    }
    for (let i = 0; i < counted; i++) share[i] = 1 / counted;

    const written = ids.flatMap((id, i) => (id < 0 ? [] : [i]));
    const rows = this.embed(written.map((i) => ids[i] as number));
    const words = new Float32Array(tokens * hidden);
    written.forEach((i, row) => words.set(rows.subarray(row * hidden, (row + 1) * hidden), i * hidden));
    return {
      tokens: counted,
      feeds: {
        words: float32(words, [tokens, hidden]),
        place: int64(place),
        latents: float32(latents, [projector.frames, projector.latent]),
        ...this.rotary(positions),
        rootMask: this.rootMask,
        mask: float32(mask, [batch, 1, group * length, keys]),
        at: int64(at),
        targets: int64(targets),
        flatTargets: int64(targets.map((target, i) => i * vocabulary + target)),
        share: float32(share, [scored, 1]),
      },
    };
  }

  /** cos and sin (tokens, heads + kvHeads, headDim / 2), the queries' divided by sqrt(headDim). */
  private rotary(positions: readonly number[]): { cos: HostTensor; sin: HostTensor } {
    const { heads, kvHeads, headDim } = this.plan.shape;
    const half = headDim / 2;
    const dims = [positions.length, heads + kvHeads, half];
    const spread = (table: Float32Array): HostTensor => {
      const data = new Float32Array(positions.length * (heads + kvHeads) * half);
      positions.forEach((position, token) => {
        for (let head = 0; head < heads + kvHeads; head++) {
          const scale = head < heads ? 1 / Math.sqrt(headDim) : 1;
          for (let i = 0; i < half; i++) data[(token * (heads + kvHeads) + head) * half + i] = scale * (table[position * half + i] as number);
        }
      });
      return float32(data, dims);
    };
    return { cos: spread(this.cos), sin: spread(this.sin) };
  }
}

function framesOf(prompt: readonly PromptToken[]): number[] {
  return [...new Set(prompt.flatMap((token) => (typeof token === 'number' ? [] : token.frames)))];
}

/** Fisher and Yates' shuffle. */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const mixed = [...items];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [mixed[i], mixed[j]] = [mixed[j] as T, mixed[i] as T];
  }
  return mixed;
}
