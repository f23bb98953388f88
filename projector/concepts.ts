/**
 * Words for what the vision tower recognizes, read from latents alone. The tower's head tells classes apart; a linear map from a latent gives
 * nearly the scores that the head gives of the frame. Averaged over the frames that are shown, a class that is likely enough is named, else
 * the kind it belongs to ("dog", where several breeds share the probability).
 */
import Type from 'typebox';
import Value from 'typebox/value';
import { PackError, type ConceptsConfig, type ModelPack } from '../model/pack/index.js';
import { decodeFloat16 } from '../model/runtime/float16.js';

const WEIGHTS_FILE = 'concepts.safetensors';
const NAMES_FILE = 'concepts.json';
/** Classes of one head: ImageNet-21k, the largest in use, has 21,843. */
const MOST_CLASSES = 30_000;

const Names = Type.Object({
  /** Of each class, how it is called in a prompt. */
  names: Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { minItems: 1, maxItems: MOST_CLASSES }),
  /** Of each kind, the numbers of its classes. */
  kinds: Type.Record(Type.String(), Type.Array(Type.Integer({ minimum: 0, maximum: MOST_CLASSES }), { minItems: 1 })),
});

/** A name with its mean probability, 0 to 1. */
export interface Concept {
  readonly name: string;
  readonly probability: number;
}

export class Concepts {
  private constructor(
    private readonly config: ConceptsConfig,
    private readonly names: readonly string[],
    private readonly kinds: ReadonlyMap<string, readonly number[]>,
    /** (D, classes) row by row, and (classes). */
    private readonly weight: Float32Array,
    private readonly bias: Float32Array,
  ) {}

  /**
   * @returns null for a pack without such a map
   * @throws PackError naming the file that does not hold what it should
   */
  static async load(pack: ModelPack): Promise<Concepts | null> {
    const { concepts, latent } = pack.manifest;
    if (concepts === undefined) return null;
    const { names, kinds } = parseNames(await pack.text(NAMES_FILE), pack.where);
    const tensors = await pack.tensors(WEIGHTS_FILE);
    const weight = decodeFloat16(tensors.get('weight', [latent.dim, names.length]).data as Uint16Array);
    const bias = decodeFloat16(tensors.get('bias', [names.length]).data as Uint16Array);
    return new Concepts(concepts, names, new Map(Object.entries(kinds)), weight, bias);
  }

  /**
   * What is recognized in frames, the likeliest first; none where nothing is likely enough.
   * @param latents (T, D) of the frames that are shown
   */
  recognized(latents: Float32Array): Concept[] {
    const { sure, kind_sure: kindSure, most } = this.config;
    const probabilities = this.probabilities(latents);
    const likeliest = [...probabilities.keys()].sort((a, b) => at(probabilities, b) - at(probabilities, a)).slice(0, most);
    const classes = likeliest.filter((number) => at(probabilities, number) >= sure);
    const found = new Map(classes.map((number) => [this.names[number] as string, at(probabilities, number)]));
    for (const [kind, members] of this.kinds) {
      if (members.some((number) => classes.includes(number))) continue;
      const total = members.reduce((sum, number) => sum + at(probabilities, number), 0);
      if (total >= kindSure) found.set(kind, total);
    }
    const concepts = [...found].map(([name, probability]) => ({ name, probability }));
    return concepts.sort((a, b) => b.probability - a.probability).slice(0, most);
  }

  /** Mean over frames of the probabilities (classes). */
  private probabilities(latents: Float32Array): Float32Array {
    const classes = this.bias.length;
    const dim = this.weight.length / classes;
    const frames = latents.length / dim;
    const mean = new Float32Array(classes);
    for (let frame = 0; frame < frames; frame++) {
      const scores = this.bias.slice();
      for (let i = 0; i < dim; i++) {
        const number = latents[frame * dim + i] as number;
        for (let c = 0; c < classes; c++) scores[c] = (scores[c] as number) + number * (this.weight[i * classes + c] as number);
      }
      const highest = scores.reduce((most, score) => Math.max(most, score), -Infinity);
      const exponentials = scores.map((score) => Math.exp(score - highest));
      const sum = exponentials.reduce((total, value) => total + value, 0);
      for (let c = 0; c < classes; c++) mean[c] = (mean[c] as number) + (exponentials[c] as number) / sum / frames;
    }
    return mean;
  }
}

function at(values: Float32Array, index: number): number {
  return values[index] as number;
}

function parseNames(text: string, where: string): { readonly names: string[]; readonly kinds: Record<string, number[]> } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new PackError(`${NAMES_FILE} in ${where} is not JSON: fetch the pack again`);
  }
  if (!Value.Check(Names, json)) {
    throw new PackError(`${NAMES_FILE} in ${where} does not hold names and kinds of classes: fetch the pack again`);
  }
  const outside = Object.entries(json.kinds).find(([, members]) => members.some((number) => number >= json.names.length));
  if (outside !== undefined) throw new PackError(`${NAMES_FILE} in ${where}: "${outside[0]}" names a class that there is not`);
  return json;
}
