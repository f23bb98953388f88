/** Clips and texts as vectors of the search space, as cells keep them; and how well one finds the other. */
import { type Container, readContainer } from '../../../model/container/index.js';
import { latentsContainer } from '../../../model/encoding/latents.js';
import { type IndexedVideo, vectorOf } from '../../../model/retrieval/index.js';
import type { Models } from '../../../projector/library/models.js';
import { bothWays, recalls, type Recalls } from '../evaluate/retrieval.js';
import type { JsonLine } from '../json-lines.js';
import type { RetrievalClip } from './retrieval-set.js';

/** Where a clip's latents come from. */
export const KINDS = {
  raw: "vision tower's features",
  written: 'latents, written and read back',
  trained: 'latents, trained with the network',
} as const;
export type Kind = keyof typeof KINDS;

/** Means over the frames of a clip and of its segments. */
export interface ClipVectors {
  readonly whole: readonly number[];
  readonly segments: readonly (readonly number[])[];
}

export interface TextVectors {
  readonly texts: readonly (readonly number[])[];
  readonly label: readonly number[] | null;
  readonly segments: readonly (readonly number[])[];
}

/** Stands for all of the pack that decides vectors of clips and texts. */
export function searchMark({ pack: { manifest } }: Models): string[] {
  return Object.entries(manifest.files).filter(([name]) => !/^(projector|adapter|chat_template|LICENSE|MODEL_CARD)/.test(name)).map(([, { sha256 }]) => sha256);
}

/** Of the features of every frame, as they are and as a container without network keeps them. */
export async function featureVectors(clip: RetrievalClip, models: Models, signal: AbortSignal): Promise<Record<'raw' | 'written', ClipVectors>> {
  const source = await clip.open();
  try {
    const { width, height, duration_s } = source.info;
    const tower = await models.tower();
    const frames = source.frames({ size: tower.frameSize(source.info), signal });
    const made = { duration_s, source: { name: clip.name, width, height, bytes: clip.bytes }, pack: models.pack.manifest };
    const { bytes, targets } = await latentsContainer(frames, tower, made);
    const container = readContainer(bytes);
    return { raw: await vectorsOf(clip, container, targets, models), written: await vectorsOf(clip, container, container.latents, models) };
  } finally {
    await source.close();
  }
}

/** Of the latents that a trained container holds. */
export function trainedVectors(clip: RetrievalClip, bytes: Uint8Array, models: Models): Promise<ClipVectors> {
  const container = readContainer(bytes);
  return vectorsOf(clip, container, container.latents, models);
}

/** A class is looked for by its own name. */
export async function textVectors({ texts, label, segments }: RetrievalClip, models: Models): Promise<TextVectors> {
  const search = await models.search();
  const all = async (words: readonly string[]): Promise<number[][]> => {
    const vectors: number[][] = [];
    for (const text of words) vectors.push(rounded(await search.textVector(text)));
    return vectors;
  };
  return { texts: await all(texts), label: label === null ? null : ((await all([label]))[0] as number[]), segments: await all(segments.map(({ text }) => text)) };
}

async function vectorsOf({ segments }: RetrievalClip, { meta: { times_s }, latentDim }: Container, latents: Float32Array, models: Models): Promise<ClipVectors> {
  const indexed = await (await models.search()).index({ latents, dim: latentDim, times_s });
  const within = (start_s: number, end_s: number): number[] => [...times_s.keys()].filter((t) => (times_s[t] as number) >= start_s && (times_s[t] as number) < end_s);
  return {
    whole: meanVector(indexed, [...times_s.keys()]),
    segments: segments.map(({ span: [start_s, end_s] }) => meanVector(indexed, within(start_s, end_s))),
  };
}

function meanVector({ vectors }: IndexedVideo, frames: readonly number[]): number[] {
  const mean = new Float32Array(vectors.dim);
  for (const t of frames) vectorOf(vectors, t).forEach((value, d) => { mean[d] = (mean[d] as number) + value / frames.length; });
  return rounded(mean);
}

/** Enough for scores to four digits, in a third of the characters. */
function rounded(vector: Float32Array): number[] {
  return Array.from(vector, (value) => Math.round(value * 1e5) / 1e5);
}

/** What a cell kept. */
export function kept<T>(line: JsonLine | undefined): T {
  return line as unknown as T;
}

export interface BothWays {
  readonly forward: Recalls & { readonly median: number };
  readonly backward: Recalls & { readonly median: number };
}

/** Texts that look for their clips, and clips for their texts. `texts[i]` belongs to `clips[owners[i]]`. */
export function recallBothWays(texts: readonly (readonly number[])[], owners: readonly number[], clips: readonly (readonly number[])[]): BothWays {
  const scores = texts.map((text) => Float32Array.from(clips, (clip) => dot(text, clip)));
  const { forward, backward } = bothWays(scores, owners, clips.length);
  return { forward: { ...recalls(forward), median: medianRank(forward) }, backward: { ...recalls(backward), median: medianRank(backward) } };
}

/** The middle rank, the first being 1. */
function medianRank(ranks: readonly number[]): number {
  const sorted = [...ranks].sort((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] as number) + (sorted[sorted.length >> 1] as number)) / 2 + 1;
}

export interface ClassScores {
  /** Mean over the classes of the average precision with which a class's name finds its clips. */
  readonly map: number;
  /** Share of clips whose class has the best name of all. */
  readonly top1: number;
}

/** @param names vectors of the classes' names; `labels[i]` is the class of clip i */
export function classScores(names: readonly (readonly number[])[], labels: readonly number[], clips: readonly (readonly number[])[]): ClassScores {
  const precisions = names.map((name, label) => {
    const order = clips.map((clip, i) => ({ score: dot(name, clip), hit: labels[i] === label })).sort((a, b) => b.score - a.score);
    let hits = 0;
    const found = order.flatMap(({ hit }, rank) => (hit ? [++hits / (rank + 1)] : []));
    return found.reduce((sum, value) => sum + value, 0) / found.length;
  });
  const right = clips.filter((clip, i) => {
    const scores = names.map((name) => dot(name, clip));
    return scores.indexOf(Math.max(...scores)) === labels[i];
  }).length;
  return { map: precisions.reduce((sum, value) => sum + value, 0) / precisions.length, top1: right / clips.length };
}

export function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
}
