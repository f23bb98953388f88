/** The embeddings a prompt enters the language model as. */
import type { Decoder } from '../model/language/index.js';
import { concatFloats } from '../model/runtime/tensor.js';
import { Projector } from './network.js';
import { latentsOf, type PromptToken, type VisualToken } from './prompt.js';
import type { VideoProjector } from './video-llama.js';

/** What a prompt's tokens are looked up in. */
export interface PromptEmbedder {
  readonly decoder: Decoder;
  readonly projector: Projector | VideoProjector;
  /** K and D: visual tokens a frame (or a video that is read as a whole), and numbers of a latent. */
  readonly latent: { readonly tokens: number; readonly dim: number };
}

type Shown = Pick<VisualToken, 'video' | 'frames'>;

/** Embeddings (S, H): the embedding matrix's rows for words, the projector's for frames. */
export async function promptEmbeddings(tokens: readonly PromptToken[], embedder: PromptEmbedder): Promise<Float32Array> {
  const { decoder, latent } = embedder;
  const { hidden } = decoder.config;
  const rows = decoder.embed(tokens.map((token) => (typeof token === 'number' ? token : 0)));
  const visual = tokens.flatMap((token, position) => (typeof token === 'number' ? [] : [{ token, position }]));
  if (visual.length === 0) return rows;
  const shown = distinctShown(visual.map(({ token }) => token));
  const projected = await project(shown, embedder);
  for (const { token, position } of visual) {
    const start = (shown.findIndex((other) => sameShown(other, token)) * latent.tokens + token.slot) * hidden;
    rows.set(projected.subarray(start, start + hidden), position * hidden);
  }
  return rows;
}

/** (shown, K, H): frames in one run, videos that are read as a whole one after another. */
async function project(shown: readonly Shown[], { projector }: PromptEmbedder): Promise<Float32Array> {
  const latents = shown.map(({ video, frames }) => latentsOf(video, frames));
  if (projector instanceof Projector) return projector.project(concatFloats(latents));
  const tokens: Float32Array[] = [];
  for (const video of latents) tokens.push(await projector.project(video));
  return concatFloats(tokens);
}

function sameShown(a: Shown, b: Shown): boolean {
  return a.video === b.video && a.frames.join() === b.frames.join();
}

function distinctShown(tokens: readonly Shown[]): Shown[] {
  const shown: Shown[] = [];
  for (const token of tokens) if (!shown.some((known) => sameShown(known, token))) shown.push(token);
  return shown;
}
