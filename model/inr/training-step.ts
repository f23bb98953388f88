/** One training step as one ONNX graph: pick, round, forward, loss, backward, Adam. */
import { ADAM_DEFAULTS, adamStep, factoredStep, Graph, gradients, ops, ParameterLayout, type ParameterSpec, type Value } from '../graph/index.js';
import { float32, int64, sizeOf } from '../runtime/tensor.js';
import { patchGrid, type InrConfig } from './config.js';
import { basisWeights, fixedSpecs, inrDifference, isBasis, MEAN_FRAME, meanPatches, mixtures, parameterSpecs } from './network.js';
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
  /**
   * Where the price of a number rises fastest, in steps of its tensor; null: the bits of the tensors are not part of the loss, and the
   * input `rateWeight` is absent. Below 1, numbers near zero are drawn to it harder, large ones are left alone sooner.
   */
  readonly knee: number | null;
}

/** A part of the trained numbers that a step updates by one rule. */
export interface StateGroup {
  /** Numbers of the flat parameter vector before it. */
  readonly offset: number;
  readonly layout: ParameterLayout;
  /** What its rule keeps from step to step, parameters first: names and shapes. */
  readonly parts: readonly ParameterSpec[];
}

/**
 * The flat vector: Z, then the network's tensors. In groups: the basis grids are most of the numbers, and the gradient of each
 * is a product of two thin matrices, for which Adam's passes over all numbers can be done without (graph/factored.ts).
 */
export function stateGroups(config: InrConfig): StateGroup[] {
  const specs = parameterSpecs(config);
  const rest = new ParameterLayout([{ name: LATENTS, dims: [config.frames, config.latentDim] }, ...specs.filter(({ name }) => !isBasis(name))]);
  const part = (group: string, name: string, dims: readonly number[]): ParameterSpec => ({ name: `${name}.${group}`, dims });
  const groups: StateGroup[] = [{ offset: 0, layout: rest, parts: ['parameters', 'first', 'second'].map((name) => part('rest', name, [rest.size])) }];
  let offset = rest.size;
  for (const { name, dims: [count = 0, ...grid] } of specs.filter((spec) => isBasis(spec.name))) {
    const columns = sizeOf(grid);
    const dims = [count, columns];
    const parts = [part(name, 'parameters', dims), part(name, 'momentum', dims), part(name, 'rows', [count]), part(name, 'columns', [columns])];
    groups.push({ offset, layout: new ParameterLayout([{ name, dims }]), parts });
    offset += count * columns;
  }
  return groups;
}

export function trainingLayout(config: InrConfig): ParameterLayout {
  return new ParameterLayout(stateGroups(config).flatMap(({ layout }) => layout.specs));
}

/** What the optimisers keep beside the parameters, as one flat vector. */
export function momentLayout(config: InrConfig): ParameterLayout {
  return new ParameterLayout(stateGroups(config).flatMap(({ parts }) => parts.slice(1)));
}

/** Name of the output that holds a part of the state after the step; the input that holds it before has the part's own name. */
export const stateOutput = (part: string): string => `${part}_out`;

/**
 * Inputs: the parts of all groups by their names, the training state; `rate` () from adamRate; `lambda` () of eq. 6;
 * `rateWeight` () what a bit costs, in mean squared error;
 * `video` uint8 (T, rows, columns, p * p * 3) the patches of all frames, `meanPatches` (rows, columns, p * p * 3) the mean
 * frame's, in [0, 1]; `targets` (T, D) the features Z is aligned to;
 * the fixed tensors by their names; `frameIndex` (F), `rowIndex` (Sy), `columnIndex` (Sx) int64, which patches this step sees.
 * Outputs: the states after the step, to be fetched into the same memory; `mse` () over the step's pixels and
 * `cosine` () the mean cosine of the latents to their targets, both before the step.
 */
export function trainingStep(config: InrConfig, shape: StepShape, kind: StepKind): Uint8Array {
  const graph = new Graph('latent-inr-training-step');
  const grid = patchGrid(config);
  const pixels = config.patch ** 2 * 3;
  const groups = stateGroups(config).map((group) => ({ ...group, state: group.parts.map(({ name, dims }) => graph.input(name, 'float32', dims)) }));
  const rate = graph.input('rate', 'float32', []);
  const lambda = graph.input('lambda', 'float32', []);
  const price = kind.knee === null ? null : { weight: graph.input('rateWeight', 'float32', []), knee: kind.knee };
  const video = graph.input('video', 'uint8', [config.frames, grid.rows, grid.columns, pixels]);
  const mean = graph.input('meanPatches', 'float32', [grid.rows, grid.columns, pixels]);
  const targets = graph.input('targets', 'float32', [config.frames, config.latentDim]);
  const frameIndex = graph.input('frameIndex', 'int64', [shape.frames]);
  const rowIndex = graph.input('rowIndex', 'int64', [shape.rows]);
  const columnIndex = graph.input('columnIndex', 'int64', [shape.columns]);
  const fixed = fixedSpecs(config).filter(({ name }) => name !== MEAN_FRAME).map(({ name, dims }): [string, Value] => [name, graph.input(name, 'float32', dims)]);

  // The gradient with respect to the rounded numbers moves the unrounded ones (a straight-through estimator, Bengio et al., 2013).
  const used = groups.map(({ layout, state: [parameters] }) => (kind.rounded ? rounded(graph, layout, parameters as Value) : (parameters as Value)));
  const tensors = new Map([...groups.flatMap(({ layout }, i) => [...layout.unflatten(used[i] as Value)]), ...fixed]);
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

  const [rest, ...bases] = groups;
  const [restGradient, ...mixedGradients] = gradients(loss, [used[0] as Value, ...mixed]);
  // Outputs take the place of inputs in memory, so nothing may be written before the last gradient has been computed.
  const settled = ops.add(rate, ops.mul(ops.reshape(ops.slice(restGradient as Value, 0, 0, 1), []), 0));
  const update = (group: StateGroup, next: readonly Value[]): void => group.parts.forEach(({ name }, i) => graph.output(stateOutput(name), next[i] as Value));
  update(rest as StateGroup, restUpdate(graph, rest as UpdatedGroup, restGradient as Value, settled, price));
  bases.forEach((basis, i) => update(basis, basisUpdate(graph, basis, weights as Value, mixedGradients[i] as Value, settled, price)));
  graph.output('mse', mse);
  graph.output('cosine', cosine);
  return graph.toOnnx();
}

interface UpdatedGroup extends StateGroup {
  /** Its parts. */
  readonly state: readonly Value[];
}

/** What a bit costs. */
interface Price {
  readonly weight: Value;
  readonly knee: number;
}

/** Adam on Z and the small tensors. */
function restUpdate(graph: Graph, { layout, state }: UpdatedGroup, distortion: Value, rate: Value, price: Price | null): Value[] {
  const [parameters, first, second] = state as [Value, Value, Value];
  const gradient = price === null ? distortion : ops.add(distortion, rateGradient(graph, layout, parameters, price));
  const next = adamStep({ parameters, first, second }, gradient, ops.mul(perNumber(graph, layout, relativeRate), rate));
  return [next.parameters, next.first, next.second];
}

/** A basis grid, whose gradient is that of its mixtures (F, channels * rows * columns) times the weights (F, count). */
function basisUpdate(graph: Graph, { layout, state }: UpdatedGroup, weights: Value, mixedGradient: Value, rate: Value, price: Price | null): Value[] {
  const [parameters, momentum, rows, columns] = state as [Value, Value, Value, Value];
  const next = factoredStep({ parameters, momentum, rows, columns }, weights, mixedGradient, rate);
  const values = next.state;
  if (price === null) return [values.parameters, values.momentum, values.rows, values.columns];
  // The price moves the numbers directly, at the rate that the momentum would have summed up to.
  const scale = ops.mul(next.columnScale, ops.mul(rate, 1 / (1 - ADAM_DEFAULTS.beta1))); // (n)
  const priced = ops.mul(rateGradient(graph, layout, parameters, price), scale);
  return [ops.sub(values.parameters, priced), values.momentum, values.rows, values.columns];
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
 * Gradient of the price of all numbers w with step s: `weight` times the sum of log2(1 + (w / (knee s))^2) / 2, which for a knee of 1
 * is about the length of the whole number w / s.
 */
function rateGradient(graph: Graph, layout: ParameterLayout, parameters: Value, { weight, knee }: Price): Value {
  const squaredSteps = perNumber(graph, layout, (name) => (knee * stepOf(name)) ** 2);
  const priced = perNumber(graph, layout, (name) => (name === LATENTS ? 0 : 1 / Math.LN2));
  return ops.div(ops.mul(parameters, ops.mul(priced, weight)), ops.add(ops.square(parameters), squaredSteps));
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
