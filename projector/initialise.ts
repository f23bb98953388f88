/** A projector that has learned nothing yet: where training starts. */
import { encodeFloat16 } from '../model/runtime/float16.js';
import { normal, seededRandom } from '../model/runtime/random.js';
import { sizeOf, type HostTensor } from '../model/runtime/tensor.js';
import type { ProjectorShape } from './network.js';

/** Latent numbers that vary less than this share of the most varying one carry mostly rounding noise: they are not blown up to its size. */
const LEAST_SIGMA = 0.1;
/** Tokens start about as large as the embeddings of words. */
const TOKEN_SIZE = 0.1;

/** Names and shapes of the projector's tensors. */
export function projectorShapes({ latent, tokens, hidden, inner }: ProjectorShape): Readonly<Record<string, readonly number[]>> {
  return {
    norm: [latent],
    'fc1.weight': [inner, latent],
    'fc1.bias': [inner],
    'fc2.weight': [tokens * hidden, inner],
    'fc2.bias': [tokens * hidden],
    'skip.weight': [tokens * hidden, latent],
  };
}

/**
 * @param sigma (D): standard deviation of each latent number
 * @returns float32 tensors by name; the same for the same shape
 */
export function initialProjector(shape: ProjectorShape, sigma: Float32Array): Map<string, Float32Array> {
  const random = seededRandom('projector');
  const least = LEAST_SIGMA * sigma.reduce((a, b) => Math.max(a, b), 0);
  const spread: Readonly<Record<string, number>> = {
    'fc1.weight': 1 / Math.sqrt(3 * shape.latent),
    'fc2.weight': TOKEN_SIZE / Math.sqrt(shape.inner),
    'skip.weight': TOKEN_SIZE / Math.sqrt(shape.latent),
  };
  return new Map(
    Object.entries(projectorShapes(shape)).map(([name, dims]) => {
      if (name === 'norm') return [name, sigma.map((value) => 1 / Math.max(value, least))];
      const deviation = spread[name] ?? 0;
      return [name, Float32Array.from({ length: sizeOf(dims) }, () => deviation * normal(random))];
    }),
  );
}

/** The projector as the file of a pack: halves. */
export function projectorTensors(shape: ProjectorShape, values: ReadonlyMap<string, Float32Array>): Map<string, HostTensor> {
  return new Map(Object.entries(projectorShapes(shape)).map(([name, dims]) => [name, { dtype: 'float16', dims, data: encodeFloat16(values.get(name) as Float32Array) }]));
}
