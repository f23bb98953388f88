/** Layers as published models have them, and where their weights come from. */
import { Graph, ops, type ParameterSpec, type Value } from '../graph/index.js';
import type { TensorFile } from '../pack/index.js';
import { float32 } from '../runtime/tensor.js';
import { readWeight } from './weights.js';

/** The weight of this name and shape as a tensor of the graph: stored inside of it, or trained. */
export type WeightSource = (name: string, dims: readonly number[]) => Value;

/**
 * Weights of a file, stored inside the graph as float32; each is read when a layer asks for it.
 * @throws (when asking) TensorFileError naming the tensor that is missing or has another shape
 */
export function storedWeights(graph: Graph, tensors: TensorFile): WeightSource {
  const known = new Map<string, Value>();
  return (name, dims) => {
    const value = known.get(name) ?? graph.initializer(name, float32(readWeight(tensors, name, dims), dims));
    known.set(name, value);
    return value;
  };
}

/** Weights that lie elsewhere under `prefix` + name. */
export function under(weights: WeightSource, prefix: string): WeightSource {
  return (name, dims) => weights(prefix + name, dims);
}

/** Trained weights: what ParameterLayout.unflatten gives. */
export function trainedWeights(parameters: ReadonlyMap<string, Value>): WeightSource {
  return (name) => {
    const value = parameters.get(name);
    if (value === undefined) throw new Error(`no parameter "${name}"`);
    return value;
  };
}

/** Names and shapes of the weights that `build` asks for, in its order: the network itself says what its parameters are. */
export function weightSpecs(build: (graph: Graph, weights: WeightSource) => void): ParameterSpec[] {
  const graph = new Graph('weights');
  const asked = new Map<string, Value>();
  build(graph, (name, dims) => {
    const value = asked.get(name) ?? graph.input(name, 'float32', dims);
    asked.set(name, value);
    return value;
  });
  return [...asked].map(([name, { dims }]) => ({ name, dims: dims as number[] }));
}

/** y = x W^T + b: x (…, in) to (…, out), W (out, in) as PyTorch stores it. */
export function linear(x: Value, weights: WeightSource, name: string, out: number, bias = true): Value {
  const y = ops.matmul(x, ops.transpose(weights(`${name}.weight`, [out, x.dims.at(-1) as number]), [1, 0]));
  return bias ? ops.add(y, weights(`${name}.bias`, [out])) : y;
}

/** LayerNorm over the last axis with `name`.weight and .bias. */
export function norm(x: Value, weights: WeightSource, name: string, eps: number): Value {
  const width = [x.dims.at(-1) as number];
  return ops.layerNorm(x, weights(`${name}.weight`, width), weights(`${name}.bias`, width), eps);
}
