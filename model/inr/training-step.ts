/** One training step as one ONNX graph: pick, round, forward, loss, backward, Adam. */
import { adamStep, Graph, gradients, ops, ParameterLayout, type Value } from '../graph/index.js';
import { float32 } from '../runtime/tensor.js';
import { patchGrid, type InrConfig } from './config.js';
import { BASIS, fixedSpecs, inrNetwork, parameterSpecs } from './network.js';
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

/** A part of the flat vector that a step updates on its own. */
export interface StateGroup {
  readonly name: string;
  /** Numbers of the flat vector before it. */
  readonly offset: number;
  readonly layout: ParameterLayout;
}

/**
 * The flat vector: Z, then the network's tensors. In two groups: the basis grids are most of the numbers, and as one tensor
 * with one rate they need neither constants of their size nor copies into and out of a joint vector.
 */
export function stateGroups(config: InrConfig): StateGroup[] {
  const specs = parameterSpecs(config);
  const rest = new ParameterLayout([{ name: LATENTS, dims: [config.frames, config.latentDim] }, ...specs.filter(({ name }) => name !== BASIS)]);
  const basis = new ParameterLayout(specs.filter(({ name }) => name === BASIS));
  const groups = [{ name: 'rest', offset: 0, layout: rest }, { name: 'basis', offset: rest.size, layout: basis }];
  return groups.filter(({ layout }) => layout.size > 0);
}

export function trainingLayout(config: InrConfig): ParameterLayout {
  return new ParameterLayout(stateGroups(config).flatMap(({ layout }) => layout.specs));
}

/** Names of a group's inputs, the training state; its outputs are the same with `_out`. */
export const STATE_PARTS = ['parameters', 'first', 'second'] as const;
export type StatePart = (typeof STATE_PARTS)[number];
export const stateInput = (part: StatePart, group: StateGroup): string => `${part}.${group.name}`;

/**
 * Inputs: of each group its three vectors, the training state, by `stateInput`; `rate` () from adamRate; `lambda` () of eq. 6;
 * `rateWeight` () what a bit costs, in mean squared error;
 * `video` uint8 (T, rows, columns, p * p * 3) the patches of all frames; `targets` (T, D) the features Z is aligned to;
 * the fixed tensors by their names; `frameIndex` (F), `rowIndex` (Sy), `columnIndex` (Sx) int64, which patches this step sees.
 * Outputs: the states after the step, to be fetched into the same memory; `mse` () over the step's pixels and
 * `cosine` () the mean cosine of the latents to their targets, both before the step.
 */
export function trainingStep(config: InrConfig, shape: StepShape, kind: StepKind): Uint8Array {
  const graph = new Graph('latent-inr-training-step');
  const grid = patchGrid(config);
  const groups = stateGroups(config).map((group) => {
    const input = (part: StatePart): Value => graph.input(stateInput(part, group), 'float32', [group.layout.size]);
    return { ...group, state: { parameters: input('parameters'), first: input('first'), second: input('second') } };
  });
  const rate = graph.input('rate', 'float32', []);
  const lambda = graph.input('lambda', 'float32', []);
  const rateWeight = kind.priced ? graph.input('rateWeight', 'float32', []) : null;
  const video = graph.input('video', 'uint8', [config.frames, grid.rows, grid.columns, config.patch ** 2 * 3]);
  const targets = graph.input('targets', 'float32', [config.frames, config.latentDim]);
  const frameIndex = graph.input('frameIndex', 'int64', [shape.frames]);
  const rowIndex = graph.input('rowIndex', 'int64', [shape.rows]);
  const columnIndex = graph.input('columnIndex', 'int64', [shape.columns]);

  const fixed = fixedSpecs(config).map(({ name, dims }): [string, Value] => [name, graph.input(name, 'float32', dims)]);
  // The gradient with respect to the rounded numbers moves the unrounded ones (a straight-through estimator, Bengio et al., 2013).
  const used = groups.map(({ layout, state }) => (kind.rounded ? rounded(graph, layout, state.parameters) : state.parameters));
  const parameters = new Map([...groups.flatMap(({ layout }, i) => [...layout.unflatten(used[i] as Value)]), ...fixed]);
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

  const distortions = gradients(loss, used);
  // Outputs take the place of inputs in memory, so no group may be written before the last gradient has been computed.
  const first = (gradient: Value): Value => ops.reshape(ops.slice(gradient, 0, 0, 1), []);
  const settled = distortions.length < 2 ? rate : ops.add(rate, ops.mul(distortions.map(first).reduce((a, b) => ops.add(a, b)), 0));
  groups.forEach((group, i) => {
    const { layout, state } = group;
    const distortion = distortions[i] as Value;
    const gradient = rateWeight === null ? distortion : ops.add(distortion, rateGradient(graph, layout, state.parameters, rateWeight));
    const next = adamStep(state, gradient, ops.mul(perNumber(graph, layout, relativeRate), settled));
    for (const part of STATE_PARTS) graph.output(`${stateInput(part, group)}_out`, next[part]);
  });
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

/** Latents have levels of their own, chosen a column when they are stored: they are neither rounded nor priced here. */
const LATENT_STEP = 2 ** -20;
const stepOf = (name: string): number => (name === LATENTS ? LATENT_STEP : quantisationStep(name));

function rounded(graph: Graph, layout: ParameterLayout, parameters: Value): Value {
  const steps = perNumber(graph, layout, stepOf);
  return ops.mul(ops.round(ops.div(parameters, steps)), steps);
}

/**
 * Gradient of `weight` times an estimate of the bits of all numbers w with step s: the sum of
 * log2(1 + (w / s)^2) / 2, about the length of the whole number w / s.
 */
function rateGradient(graph: Graph, layout: ParameterLayout, parameters: Value, weight: Value): Value {
  const squaredSteps = perNumber(graph, layout, (name) => stepOf(name) ** 2);
  const priced = perNumber(graph, layout, (name) => (name === LATENTS ? 0 : 1 / Math.LN2));
  return ops.div(ops.mul(parameters, ops.mul(priced, weight)), ops.add(ops.square(parameters), squaredSteps));
}

/**
 * Learning rate of each number relative to the trainer's. Grids take large steps; weights that every pixel of every frame
 * depends on take smaller ones.
 */
function relativeRate(name: string): number {
  if (name.startsWith('grid') || name === BASIS) return 1;
  return name === LATENTS || name.startsWith('basis.') ? 0.2 : 0.1;
}
