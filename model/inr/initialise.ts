/** Starting values of a network's parameters: seeded, so that an encode can be repeated. */
import { ParameterLayout } from '../graph/index.js';
import { normal, seededRandom } from '../runtime/random.js';
import type { InrConfig } from './config.js';
import { isBasis, isModulated, parameterSpecs } from './network.js';

/** Standard deviation of fresh grids: small, so that training starts from the mean frame. */
const GRID_DEVIATION = 0.1;

/** Fills the network's part of a flat parameter vector with the values to start training from. */
export function initialiseParameters(config: InrConfig, layout: ParameterLayout, flat: Float32Array, seed: number): void {
  const random = seededRandom(seed);
  const fill = (view: Float32Array, deviation: number): void => {
    for (let i = 0; i < view.length; i++) view[i] = normal(random) * deviation;
  };
  for (const { name, dims } of parameterSpecs(config)) {
    const view = layout.view(flat, name);
    if (name.startsWith('grid') || isBasis(name)) fill(view, GRID_DEVIATION);
    else if (name === 'basis.mix') fill(view, 1 / Math.sqrt(config.latentDim));
    else if (name === 'basis.bias') fill(view, 0.3);
    else if (name.endsWith('hyper1.weight')) fill(view, 1 / Math.sqrt(config.latentDim));
    else if (name.endsWith('hyper2.weight')) fill(view, 0.3 / Math.sqrt(config.hyperHidden * Math.sqrt(config.rank)));
    // P and Q must not both start near zero: each one's gradient is a multiple of the other.
    else if (name.endsWith('hyper2.bias')) fill(view, config.rank ** -0.25);
    else if (name.endsWith('.weight')) fill(view, layerDeviation(config, Number(/^layer(\d+)/.exec(name)?.[1]), dims[0] as number));
  }
}

/**
 * Deviation that keeps activations' scale (He et al., 2015): a modulation starts around sigmoid(0) = 1/2, so that its layer
 * needs twice the usual one. The last layer starts near nothing.
 */
function layerDeviation(config: InrConfig, layer: number, inputs: number): number {
  return (isModulated(config, layer) ? 2 : 1) * Math.sqrt((layer === config.layers - 1 ? 0.02 : 2) / inputs);
}

/** Standard deviation of latents that start at random: small, as in the paper. */
const LATENT_DEVIATION = 0.1;

/** Latents (T, D) to start from where they are not to start from features. */
export function randomLatents(frames: number, dim: number, seed: string): Float32Array {
  const random = seededRandom(`latents ${seed}`);
  return Float32Array.from({ length: frames * dim }, () => normal(random) * LATENT_DEVIATION);
}

/** Mean latent (D) and the factor that brings deviations from it to 1 on average; 1 for a single frame. */
export function latentStatistics(latents: Float32Array, dim: number): { mean: Float32Array; gain: number } {
  const frames = latents.length / dim;
  const mean = new Float32Array(dim);
  latents.forEach((value, i) => { mean[i % dim] = (mean[i % dim] as number) + value / frames; });
  let squares = 0;
  latents.forEach((value, i) => { squares += (value - (mean[i % dim] as number)) ** 2; });
  const deviation = Math.sqrt(squares / latents.length);
  return { mean, gain: deviation > 1e-6 ? 1 / deviation : 1 };
}
