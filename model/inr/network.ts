/**
 * Latent-INR (Maiya et al., ECCV 2024), defined once: training, Node decoder and browser decoder build this graph.
 *
 * A base network maps the coordinates of a patch's centre to its pixels. Each frame's latent modulates every layer of it
 * (or those that the configuration names) through a low-rank hypernetwork (eq. 2). Beyond the paper: the input features are learnable grids, of which some are
 * mixed per frame by the latent, and the network predicts the difference to a coarse mean frame.
 */
import { linearWeights, ops, type ParameterSpec, type Value } from '../graph/index.js';
import { featureGrids, gridSize, patchGrid, type GridConfig, type InrConfig } from './config.js';

/** Latents reach the hypernetworks centred on the video's mean and scaled to unit deviation. */
export const LATENT_MEAN = 'latent.mean';
export const LATENT_GAIN = 'latent.gain';
/** The mean frame at one value a patch: (3, rows, columns). */
export const MEAN_FRAME = 'mean';

/** The i-th grid of all sets of basis grids: (count, channels, rows, columns). */
export const basisName = (i: number): string => `basis${i}`;
export const isBasis = (name: string): boolean => /^basis\d/.test(name);

/** Tensors of the network that are measured once and not trained. */
export function fixedSpecs(config: InrConfig): ParameterSpec[] {
  const { rows, columns } = patchGrid(config);
  return [{ name: LATENT_MEAN, dims: [config.latentDim] }, { name: LATENT_GAIN, dims: [1] }, { name: MEAN_FRAME, dims: [3, rows, columns] }];
}

interface LayerShape {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly modulated: boolean;
}

function featureCount(config: InrConfig): number {
  return featureGrids(config).reduce((sum, grid) => sum + grid.channels, 0);
}

/** The base network's linear layers, first to last. */
function layerShapes(config: InrConfig): LayerShape[] {
  const pixels = config.patch * config.patch * 3;
  return Array.from({ length: config.layers }, (_, i) => ({
    name: `layer${i}`,
    inputs: i === 0 ? featureCount(config) : config.hidden,
    outputs: i === config.layers - 1 ? pixels : config.hidden,
    modulated: isModulated(config, i),
  }));
}

/** Whether the latents change layer `i` of the base network. */
export function isModulated({ modulated }: InrConfig, i: number): boolean {
  return modulated === undefined || modulated.includes(i);
}

/** Every trained tensor of the network except the latents, in a fixed order. */
export function parameterSpecs(config: InrConfig): ParameterSpec[] {
  const { latentDim, hyperHidden, rank, basis } = config;
  const specs: ParameterSpec[] = [];
  config.grids.forEach((grid, i) => specs.push({ name: `grid${i}`, dims: [grid.channels, grid.rows, grid.columns] }));
  if (basis.count > 0) {
    basis.grids.forEach((grid, i) => specs.push({ name: basisName(i), dims: [basis.count, ...gridDims(grid)] }));
    specs.push({ name: 'basis.mix', dims: [latentDim, basis.count] }, { name: 'basis.bias', dims: [basis.count] });
  }
  for (const { name, inputs, outputs, modulated } of layerShapes(config)) {
    specs.push({ name: `${name}.weight`, dims: [inputs, outputs] }, { name: `${name}.bias`, dims: [outputs] });
    if (!modulated) continue;
    specs.push(
      { name: `${name}.hyper1.weight`, dims: [latentDim, hyperHidden] },
      { name: `${name}.hyper1.bias`, dims: [hyperHidden] },
      { name: `${name}.hyper2.weight`, dims: [hyperHidden, (inputs + outputs) * rank] },
      { name: `${name}.hyper2.bias`, dims: [(inputs + outputs) * rank] },
    );
  }
  return specs;
}

export interface InrInputs {
  /** (F, D) latents of the frames wanted. */
  readonly latents: Value;
  /** (Sy) and (Sx): centres of the patches wanted, as fractions of the patch grid's height and width. Evaluated at every pair. */
  readonly ys: Value;
  readonly xs: Value;
}

type Parameters = ReadonlyMap<string, Value>;

/** Pixels in [0, 1] (not clipped) at every pair of `ys` and `xs`: (F, Sy * Sx, p * p * 3), a patch's rows first, then columns, RGB last. */
export function inrNetwork(config: InrConfig, parameters: Parameters, inputs: InrInputs): Value {
  const weights = basisWeights(config, parameters, inputs.latents);
  const mixed = weights === null ? [] : mixtures(config, parameters, weights);
  return ops.add(inrDifference(config, parameters, inputs, mixed), meanPatches(config, tensorOf(parameters, MEAN_FRAME), inputs));
}

function tensorOf(parameters: Parameters, name: string): Value {
  const value = parameters.get(name);
  if (value === undefined) throw new Error(`the network has no tensor "${name}"`);
  return value;
}

/** (F, D) the latents as the mixture and the hypernetworks read them. */
function codeOf(parameters: Parameters, latents: Value): Value {
  return ops.mul(ops.sub(latents, tensorOf(parameters, LATENT_MEAN)), tensorOf(parameters, LATENT_GAIN));
}

/** (F, count) the weights with which each frame mixes the basis grids; null where there are none. */
export function basisWeights(config: InrConfig, parameters: Parameters, latents: Value): Value | null {
  if (config.basis.count === 0) return null;
  return ops.add(ops.matmul(codeOf(parameters, latents), tensorOf(parameters, 'basis.mix')), tensorOf(parameters, 'basis.bias'));
}

/** Each frame's mixture of the basis grids with `weights` (F, count): (F, channels * rows * columns) a grid of a set. */
export function mixtures({ basis }: InrConfig, parameters: Parameters, weights: Value): Value[] {
  return basis.grids.map((grid, i) => ops.matmul(weights, ops.reshape(tensorOf(parameters, basisName(i)), [basis.count, gridSize(grid)])));
}

/** The network's pixels less the mean frame's: (F, Sy * Sx, p * p * 3). `mixed`: as `mixtures` gives them, none where there is no basis. */
export function inrDifference(config: InrConfig, parameters: Parameters, inputs: InrInputs, mixed: readonly Value[]): Value {
  const get = (name: string): Value => tensorOf(parameters, name);
  const frames = inputs.latents.dims[0] as number;
  const samples = (inputs.ys.dims[0] as number) * (inputs.xs.dims[0] as number);
  const code = codeOf(parameters, inputs.latents); // (F, D)

  const features: Value[] = config.grids.map((grid, i) => {
    const level = flattenSamples(sampleGrid(ops.reshape(get(`grid${i}`), [1, ...gridDims(grid)]), grid, inputs), samples); // (1, S, c)
    return frames === 1 ? level : ops.expand(level, [frames, samples, grid.channels]);
  });
  mixed.forEach((mixture, i) => {
    const grid = config.basis.grids[i] as GridConfig;
    features.push(flattenSamples(sampleGrid(ops.reshape(mixture, [frames, ...gridDims(grid)]), grid, inputs), samples));
  });

  let x = features.length === 1 ? (features[0] as Value) : ops.concat(features, 2); // (F, S, features)
  const layers = layerShapes(config);
  layers.forEach((layer, i) => {
    const weight = layer.modulated ? modulatedWeight(layer, config.rank, code, get) : get(`${layer.name}.weight`); // (F, inputs, outputs), or one for all F
    x = ops.add(ops.matmul(x, weight), get(`${layer.name}.bias`));
    if (i < layers.length - 1) x = ops.relu(x);
  });
  return x; // (F, S, p * p * 3)
}

/** W_l,t = sigmoid(P Q) * W_l (eq. 2), P (inputs, r) and Q (r, outputs) from the layer's hypernetwork. */
function modulatedWeight(layer: LayerShape, rank: number, code: Value, get: (name: string) => Value): Value {
  const frames = code.dims[0] as number;
  const hidden = ops.tanh(ops.add(ops.matmul(code, get(`${layer.name}.hyper1.weight`)), get(`${layer.name}.hyper1.bias`)));
  const factors = ops.add(ops.matmul(hidden, get(`${layer.name}.hyper2.weight`)), get(`${layer.name}.hyper2.bias`));
  const [p, q] = ops.split(factors, 1, [layer.inputs * rank, rank * layer.outputs]) as [Value, Value];
  const product = ops.matmul(ops.reshape(p, [frames, layer.inputs, rank]), ops.reshape(q, [frames, rank, layer.outputs]));
  return ops.mul(ops.sigmoid(product), get(`${layer.name}.weight`));
}

const gridDims = (grid: GridConfig): number[] => [grid.channels, grid.rows, grid.columns];

/** Bilinear samples of (N, c, rows, columns) at every pair of coordinates: (N, c, Sy, Sx). Two small matrix products. */
function sampleGrid(grid: Value, size: { rows: number; columns: number }, { ys, xs }: { ys: Value; xs: Value }): Value {
  return ops.matmul(ops.matmul(tents(ys, size.rows), grid), ops.transposeLast(tents(xs, size.columns)));
}

/** (N, c, Sy, Sx) -> (N, S, c) */
function flattenSamples(samples: Value, count: number): Value {
  const [n, channels] = samples.dims as [number, number];
  return ops.reshape(ops.transpose(samples, [0, 2, 3, 1]), [n, count, channels]);
}

/** Linear interpolation as a matrix (S, nodes) for coordinates (S) in [0, 1]: node k lies at (k + 1/2) / nodes. */
function tents(coordinates: Value, nodes: number): Value {
  return linearWeights(ops.sub(ops.mul(coordinates, nodes), 0.5), nodes);
}

/** The coarse mean frame (3, rows, columns), interpolated to pixels at every pair of `ys` and `xs`: (Sy * Sx, p * p * 3). */
export function meanPatches(config: InrConfig, mean: Value, { ys, xs }: { readonly ys: Value; readonly xs: Value }): Value {
  const { patch } = config;
  const size = patchGrid(config);
  const [countY, countX] = [ys.dims[0] as number, xs.dims[0] as number];
  const pixels = sampleGrid(ops.reshape(mean, [1, 3, size.rows, size.columns]), size, {
    ys: pixelCentres(ys, patch, size.rows),
    xs: pixelCentres(xs, patch, size.columns),
  }); // (1, 3, Sy * p, Sx * p)
  const apart = ops.reshape(pixels, [3, countY, patch, countX, patch]);
  return ops.reshape(ops.transpose(apart, [1, 3, 2, 4, 0]), [countY * countX, patch * patch * 3]);
}

/** Coordinates of the pixels of patches centred at `centres`: (S * p). */
function pixelCentres(centres: Value, patch: number, patches: number): Value {
  const offsets = Float32Array.from({ length: patch }, (_, i) => ((i + 0.5) / patch - 0.5) / patches);
  const offset = ops.constant(centres.graph, { dtype: 'float32', dims: [1, patch], data: offsets });
  return ops.reshape(ops.add(ops.reshape(centres, [-1, 1]), offset), [-1]);
}
