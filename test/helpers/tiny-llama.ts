import { readFile } from 'node:fs/promises';
import { Decoder } from '../../model/language/index.js';
import type { WeightKind } from '../../model/language/index.js';
import { readDecoderWeights, type DecoderWeights } from '../../model/language/weights.js';
import { readSafetensors, type LanguageConfig } from '../../model/pack/index.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { fixture } from './fixtures.js';

export interface TinyExpectation {
  /** Positions of the prompt whose logits are recorded. */
  readonly positions: number[];
  readonly logits: number[][];
  readonly greedy: number[];
  readonly beams: number[];
}

/** What transformers computed for the small random Llama of test/fixtures/language/make_tiny.py. */
export interface TinyReference {
  readonly config: LanguageConfig;
  readonly ids: number[];
  readonly plain: TinyExpectation;
  readonly adapted: TinyExpectation;
}

export async function tinyReference(): Promise<TinyReference> {
  return JSON.parse(await readFile(fixture('language/tiny.json'), 'utf8')) as TinyReference;
}

export async function tinyWeights(adapter: boolean): Promise<DecoderWeights> {
  const { config } = await tinyReference();
  const file = readSafetensors(await readFile(fixture('language/tiny.safetensors')), 'tiny.safetensors');
  return readDecoderWeights(config, [file], file, adapter ? file : null);
}

export async function tinyDecoder(kind: WeightKind, adapter = false, context = 64): Promise<Decoder> {
  return Decoder.create(await tinyWeights(adapter), nodeRuntime({ threads: 1 }), { kind, context });
}
