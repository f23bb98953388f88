/** One training step as one ONNX graph: pick, round, forward, loss, backward, Adam. */
import { adamStep, Graph, gradients, ops, ParameterLayout, type Value } from '../graph/index.js';
import { float32 } from '../runtime/tensor.js';
import { patchGrid, type InrConfig } from './config.js';
import { fixedSpecs, inrNetwork, parameterSpecs } from './network.js';
import { quantisationStep } from './quantisation.js';

/** Name of the latent dictionary Z (T, D) in the flat parameter vector. */
export const LATENTS = 'latents';

export interface StepShape {
  /** Frames F, patch rows Sy and patch columns Sx of one step. */
  readonly frames: number;
  readonly rows: number;
  readonly columns: number;
}

export interface StepKind {
  /** Whether the network is evaluated with its tensors rounded to the levels a container stores. */
  readonly rounded: boolean;
  /** Whether the bits of the tensors are part of the loss; if not, the input `rateWeight` is absent. */
  readonly priced: boolean;
}

/** The flat vector: Z, then the network's tensors. */
export function trainingLayout(config: InrConfig): ParameterLayout {
  return new ParameterLayout([{ name: LATENTS, dims: [config.frames, config.latentDim] }, ...parameterSpecs(config)]);
}

/**
 * Inputs: `parameters`, `first`, `second` (N) the training state; `rate` () from adamRate; `lambda` () of eq. 6;
 * `rateWeight` () what a bit costs, in mean squared error;
 * `video` uint8 (T, rows, columns, p * p * 3) the patches of all frames; `targets` (T, D) the features Z is aligned to;
 * the fixed tensors by their names; `frameIndex` (F), `rowIndex` (Sy), `columnIndex` (Sx) int64, which patches this step sees.
 * Outputs: the three states after the step, to be fetched into the same memory; `mse` () over the step's pixels and
 * `cosine` () the mean cosine of the latents to their targets, both before the step.
 */
export function trainingStep(config: InrConfig, shape: StepShape, kind: StepKind): Uint8Array {
  const graph = new Graph('latent-inr-training-step');
  const layout = trainingLayout(config);
  const grid = patchGrid(config);
  const state = {
    parameters: graph.input('parameters', 'float32', [layout.size]),
    first: graph.input('first', 'float32', [layout.size]),
    second: graph.input('second', 'float32', [layout.size]),
  };
  const rate = graph.input('rate', 'float32', []);
  const lambda = graph.input('lambda', 'float32', []);
  const video = graph.input('video', 'uint8', [config.frames, grid.rows, grid.columns, config.patch ** 2 * 3]);
  const targets = graph.input('targets', 'float32', [config.frames, config.latentDim]);
  const frameIndex = graph.input('frameIndex', 'int64', [shape.frames]);
  const rowIndex = graph.input('rowIndex', 'int64', [shape.rows]);
  const columnIndex = graph.input('columnIndex', 'int64', [shape.columns]);

  const fixed = fixedSpecs(config).map(({ name, dims }): [string, Value] => [name, graph.input(name, 'float32', dims)]);
  // The gradient with respect to the rounded numbers moves the unrounded ones (a straight-through estimator, Bengio et al., 2013).
  const used = kind.rounded ? rounded(graph, layout, state.parameters) : state.parameters;
  const parameters = new Map([...layout.unflatten(used), ...fixed]);
  const latents = ops.gather(parameters.get(LATENTS) as Value, frameIndex, 0); // (F, D)
  const pixels = inrNetwork(config, parameters, {
    latents,
    ys: patchCentres(rowIndex, grid.rows),
    xs: patchCentres(columnIndex, grid.columns),
  }); // (F, S, p * p * 3)
  const picked = ops.gather(ops.gather(ops.gather(video, frameIndex, 0), rowIndex, 1), columnIndex, 2);
  const truth = ops.mul(ops.reshape(ops.cast(picked, 'float32'), pixels.dims), 1 / 255);

  const mse = ops.reduceMean(ops.square(ops.sub(pixels, truth)), null, false);
  const cosine = ops.reduceMean(cosines(latents, ops.gather(targets, frameIndex, 0)), null, false);
  const loss = ops.add(mse, ops.mul(lambda, ops.sub(1, cosine))); // eq. 6

  const distortion = gradients(loss, [used])[0] as Value;
  const gradient = kind.priced ? ops.add(distortion, rateGradient(graph, layout, state.parameters)) : distortion;
  const next = adamStep(state, gradient, ops.mul(perNumber(graph, layout, relativeRate), rate));
  graph.output('parameters_out', next.parameters);
  graph.output('first_out', next.first);
  graph.output('second_out', next.second);
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

/** A constant (size) with one value for all numbers of a tensor. */
function perNumber(graph: Graph, layout: ParameterLayout, value: (name: string) => number): Value {
  const values = new Float32Array(layout.size);
  for (const { name } of layout.specs) layout.view(values, name).fill(value(name));
  return ops.constant(graph, float32(values, [layout.size]));
}

/** Latents have levels of their own, chosen a column when they are stored: they are neither rounded nor priced here. */
const LATENT_STEP = 2 ** -20;
const stepOf = (name: string): number => (name === LATENTS ? LATENT_STEP : quantisationStep(name));

function rounded(graph: Graph, layout: ParameterLayout, parameters: Value): Value {
  const steps = perNumber(graph, layout, stepOf);
  return ops.mul(ops.round(ops.div(parameters, steps)), steps);
}

/**
 * Gradient of the input `rateWeight` times an estimate of the bits of all numbers w with step s: the sum of
 * log2(1 + (w / s)^2) / 2, about the length of the whole number w / s.
 */
function rateGradient(graph: Graph, layout: ParameterLayout, parameters: Value): Value {
  const weight = graph.input('rateWeight', 'float32', []);
  const squaredSteps = perNumber(graph, layout, (name) => stepOf(name) ** 2);
  const priced = perNumber(graph, layout, (name) => (name === LATENTS ? 0 : 1 / Math.LN2));
  return ops.div(ops.mul(parameters, ops.mul(priced, weight)), ops.add(ops.square(parameters), squaredSteps));
}

/**
 * Learning rate of each number relative to the trainer's. Grids take large steps; weights that every pixel of every frame
 * depends on take smaller ones.
 */
function relativeRate(name: string): number {
  if (name.startsWith('grid') || name === 'basis') return 1;
  return name === LATENTS || name.startsWith('basis.') ? 0.2 : 0.1;
}
