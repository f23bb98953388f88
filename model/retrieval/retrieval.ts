/** Texts and latents as unit vectors of one space, in which a text lies near the frames it tells of. */
import { TextStates } from '../language/index.js';
import { PackError, type ModelPack, type PackManifest, type RetrievalConfig, type TensorFile } from '../pack/index.js';
import { decodeFloat16 } from '../runtime/float16.js';
import type { Runtime } from '../runtime/types.js';
import { Tower } from './tower.js';

const WEIGHTS_FILE = 'retrieval.safetensors';

export interface Thresholds {
  /** Cosine from which on a frame counts as what the words tell of. */
  readonly match: number;
  /** Cosine from which on it may be that. At most `match`. */
  readonly possible: number;
}

/** The vectors that photos of all kinds have, and how far above their mean cosine with a text the thresholds lie. */
interface Background {
  /** (dim) */
  readonly mean: Float32Array;
  /** (dim, dim) the triangular factor of their covariance. */
  readonly factor: Float32Array;
  /** Standard deviations of these cosines. */
  readonly match: number;
  readonly possible: number;
}

function half(weights: TensorFile, name: string, dims: readonly number[]): Float32Array {
  return decodeFloat16(weights.get(name, dims).data as Uint16Array);
}

/** True for packs that have the towers; others can be asked but not searched. */
export function canSearch(manifest: PackManifest): boolean {
  return manifest.retrieval !== undefined;
}

function configOf(pack: ModelPack): RetrievalConfig {
  const { retrieval } = pack.manifest;
  if (retrieval === undefined) throw new PackError(`the pack in ${pack.where} has no retrieval towers: it can be asked but not searched`, { code: 'pack_incapable' });
  return retrieval;
}

/**
 * The form in which every text is read, in training as here: lower case, one full stop at the end.
 * @returns '' when nothing is left to search for
 */
export function queryText(text: string): string {
  const plain = text.trim().toLowerCase().replace(/\s+/g, ' ').replace(/[\s.!?,;:]+$/, '');
  return plain === '' ? '' : `${plain}.`;
}

/** Texts to vectors. It holds the language model's first layers, some 100 MB: release it when nobody searches. */
export class TextTower {
  private constructor(
    private readonly states: TextStates,
    private readonly tower: Tower,
    private readonly background: Background,
  ) {}

  /** @throws PackError for a pack without retrieval towers */
  static async load(pack: ModelPack, runtime: Runtime): Promise<TextTower> {
    const { dim, members, text, match, possible = match } = configOf(pack);
    const input = (text.mean.length + text.last.length) * pack.manifest.language.hidden;
    const weights = await pack.tensors(WEIGHTS_FILE);
    const states = await TextStates.load(pack, runtime, text);
    const tower = await Tower.create('text', { input, members, hidden: text.hidden, dim }, weights, runtime);
    const background = { mean: half(weights, 'background.mean', [dim]), factor: half(weights, 'background.factor', [dim, dim]), match, possible };
    return new TextTower(states, tower, background);
  }

  /**
   * The unit vector (dim) of a text, in any case and with or without a full stop.
   * @throws RangeError when the text has no letter
   */
  async vector(text: string): Promise<Float32Array> {
    return this.tower.vectors(await this.states.states(queryText(text)));
  }

  /** Number of tokens that `vector` reads of a text. */
  tokens(text: string): number {
    return this.states.tokens(queryText(text));
  }

  /**
   * The cosines with this text's vector from which a frame counts as what it tells of. Cosines differ more between texts than between a hit and a
   * miss, so they are measured from those that photos of all kinds have with the same text.
   */
  thresholds(vector: Float32Array): Thresholds {
    const { mean, factor, match, possible } = this.background;
    const dim = mean.length;
    let middle = 0;
    let variance = 0;
    for (let column = 0; column < dim; column++) {
      middle += (vector[column] as number) * (mean[column] as number);
      let sum = 0;
      for (let row = column; row < dim; row++) sum += (vector[row] as number) * (factor[row * dim + column] as number);
      variance += sum ** 2;
    }
    const deviation = Math.sqrt(variance);
    return { match: middle + match * deviation, possible: middle + possible * deviation };
  }

  async release(): Promise<void> {
    await this.states.release();
    await this.tower.release();
  }
}

/** Latents to vectors. */
export class LatentTower {
  private constructor(
    private readonly tower: Tower,
    /** Numbers of a vector. */
    readonly dim: number,
  ) {}

  /** @throws PackError for a pack without retrieval towers */
  static async load(pack: ModelPack, runtime: Runtime): Promise<LatentTower> {
    const { dim, members, latent } = configOf(pack);
    const shape = { input: pack.manifest.latent.dim, members, hidden: latent.hidden, dim };
    return new LatentTower(await Tower.create('latent', shape, await pack.tensors(WEIGHTS_FILE), runtime), dim);
  }

  /** Latents (T, D) to unit vectors (T, dim). */
  vectors(latents: Float32Array): Promise<Float32Array> {
    return this.tower.vectors(latents);
  }

  async release(): Promise<void> {
    await this.tower.release();
  }
}
