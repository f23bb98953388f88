/** One training step as one ONNX graph: pick, forward, loss, backward, Adam. */
import { adamStep, Graph, gradients, ops, ParameterLayout, type Value } from '../graph/index.js';
import { float32, int64 } from '../runtime/tensor.js';
import { patchGrid, type InrConfig } from './config.js';
import { basisWeights, fixedSpecs, inrDifference, isBasis, MEAN_FRAME, meanPatches, mixtures, parameterSpecs } from './network.js';

/** Name of the latent dictionary Z (T, D) in the flat parameter vector. */
export const LATENTS = 'latents';

export interface StepShape {
  /** Frames F, patch rows Sy and patch columns Sx of one step. */
  readonly frames: number;
  readonly rows: number;
  readonly columns: number;
}

/** The flat vector of all trained numbers: Z, then the network's tensors. */
export function trainingLayout(config: InrConfig): ParameterLayout {
  return new ParameterLayout([{ name: LATENTS, dims: [config.frames, config.latentDim] }, ...parameterSpecs(config)]);
}

/** What a step updates: the flat vector, and Adam's two moments of it. */
export const STATES = ['parameters', 'first', 'second'] as const;

/** Name of the output that holds a state after the step; the input that holds it before has its own name. */
export const stateOutput = (name: string): string => `${name}_out`;

/**
 * Inputs: STATES, each (n) as long as the flat vector; `rate` () from adamRate; `lambda` () of eq. 6;
 * `video` uint8 (T, rows, columns, p * p * 3) the patches of all frames, `meanPatches` (rows, columns, p * p * 3) the mean
 * frame's, in [0, 1]; `targets` (T, D) the features Z is aligned to;
 * the fixed tensors by their names; `frameIndex` (F), `rowIndex` (Sy), `columnIndex` (Sx) int64, which patches this step sees.
 * Outputs: the states after the step, to be fetched into the same memory; `mse` () over the step's pixels and
 * `cosine` () the mean cosine of the latents to their targets, both before the step.
 */
export function trainingStep(config: InrConfig, shape: StepShape): Uint8Array {
  const graph = new Graph('latent-inr-training-step');
  const grid = patchGrid(config);
  const pixels = config.patch ** 2 * 3;
  const layout = trainingLayout(config);
  const [parameters, first, second] = STATES.map((name) => graph.input(name, 'float32', [layout.size])) as [Value, Value, Value];
  const rate = graph.input('rate', 'float32', []);
  const lambda = graph.input('lambda', 'float32', []);
  const video = graph.input('video', 'uint8', [config.frames, grid.rows, grid.columns, pixels]);
  const mean = graph.input('meanPatches', 'float32', [grid.rows, grid.columns, pixels]);
  const targets = graph.input('targets', 'float32', [config.frames, config.latentDim]);
  const frameIndex = graph.input('frameIndex', 'int64', [shape.frames]);
  const rowIndex = graph.input('rowIndex', 'int64', [shape.rows]);
  const columnIndex = graph.input('columnIndex', 'int64', [shape.columns]);
  const fixed = fixedSpecs(config).filter(({ name }) => name !== MEAN_FRAME).map(({ name, dims }): [string, Value] => [name, graph.input(name, 'float32', dims)]);

  const tensors = new Map([...layout.unflatten(parameters), ...fixed]);
  const latents = ops.gather(tensors.get(LATENTS) as Value, frameIndex, 0); // (F, D)
  const weights = basisWeights(config, tensors, latents); // (F, count)
  const mixed = weights === null ? [] : mixtures(config, tensors, weights);
  const difference = inrDifference(config, tensors, { latents, ys: patchCentres(rowIndex, grid.rows), xs: patchCentres(columnIndex, grid.columns) }, mixed); // (F, S, p * p * 3)
  const picked = ops.gather(ops.gather(ops.gather(video, frameIndex, 0), rowIndex, 1), columnIndex, 2);
  const pickedMean = ops.reshape(ops.gather(ops.gather(mean, rowIndex, 0), columnIndex, 1), difference.dims.slice(1));
  const truth = ops.sub(ops.mul(ops.reshape(ops.cast(picked, 'float32'), difference.dims), 1 / 255), pickedMean);

  const mse = ops.mul(ops.sumOfSquares(ops.sub(difference, truth)), 1 / ops.elementCount(difference));
  const cosine = ops.reduceMean(cosines(latents, ops.gather(targets, frameIndex, 0)), null, false);
  const loss = ops.add(mse, ops.mul(lambda, ops.sub(1, cosine))); // eq. 6

  const [gradient] = gradients(loss, [parameters]);
  const next = adamStep({ parameters, first, second }, gradient as Value, ops.mul(perNumber(graph, layout, relativeRate), rate));
  for (const name of STATES) graph.output(stateOutput(name), next[name]);
  graph.output('mse', mse);
  graph.output('cosine', cosine);
  return graph.toOnnx();
}

/** Centre of patch i as a fraction of the grid: (i + 1/2) / count. */
function patchCentres(index: Value, count: number): Value {
  return ops.mul(ops.add(ops.cast(index, 'float32'), 0.5), 1 / count);
}

/** Cosine of each row of a (F, D) with the row of b: (F). */
function cosines(a: Value, b: Value): Value {
  const dot = (x: Value, y: Value): Value => ops.reduceSum(ops.mul(x, y), [1], false);
  return ops.div(dot(a, b), ops.sqrt(ops.add(ops.mul(dot(a, a), dot(b, b)), 1e-12)));
}

/** A constant with one value for all numbers of a tensor: (size), or () where all tensors have the same. */
function perNumber(graph: Graph, layout: ParameterLayout, value: (name: string) => number): Value {
  const different = new Set(layout.specs.map(({ name }) => value(name)));
  if (different.size === 1) return ops.constant(graph, [...different][0] as number);
  const values = new Float32Array(layout.size);
  for (const { name } of layout.specs) layout.view(values, name).fill(value(name));
  return ops.constant(graph, float32(values, [layout.size]));
}

/**
 * Learning rate of each number relative to the trainer's. Grids take large steps; weights that every pixel of every frame
 * depends on take smaller ones.
 */
function relativeRate(name: string): number {
  if (name.startsWith('grid') || isBasis(name)) return 1;
  return name === LATENTS || name.startsWith('basis.') ? 0.2 : 0.1;
}

/** `mean` (3, rows, columns) -> `patches` (rows, columns, p * p * 3): what a step's input `meanPatches` is made by, once. */
export function meanPatchesGraph(config: InrConfig): Uint8Array {
  const graph = new Graph('latent-inr-mean-patches');
  const { rows, columns } = patchGrid(config);
  const all = (count: number): Value => patchCentres(ops.constant(graph, int64(Array.from({ length: count }, (_, i) => i))), count);
  const patches = meanPatches(config, graph.input(MEAN_FRAME, 'float32', [3, rows, columns]), { ys: all(rows), xs: all(columns) });
  graph.output('patches', ops.reshape(patches, [rows, columns, config.patch ** 2 * 3]));
  return graph.toOnnx();
}
