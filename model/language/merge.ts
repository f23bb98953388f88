/**
 * Base and adapter merged into 8-bit blocks when a model is loaded, as a graph of its own: ONNX Runtime's loops over a hundred
 * million weights take a third of the time that JavaScript's take.
 */
import { Graph, ops, type Value } from '../graph/index.js';
import { prepareInPlace, runInPlace } from '../runtime/in-place.js';
import type { HostTensor } from '../runtime/tensor.js';
import type { Runtime, Session } from '../runtime/types.js';
import type { MergedLayers } from './decoder-graph.js';
import { BLOCK, emptyQ8, fitsQ8, levels, toQ8, type Q8Matrix } from './matrix.js';
import { LINEARS, type DecoderWeights, type Linear, type LinearName } from './weights.js';

/** Keeps the scale of a block of zeros above 0. */
const TINY = 1e-30;

/** The layers of `weights`, each matrix with its adapter's product added and the sum rounded to 8 bits. */
export async function mergeLayers(weights: DecoderWeights, runtime: Runtime): Promise<MergedLayers> {
  const sessions = new Map<string, Session>();
  const merge = async (linear: Linear): Promise<Q8Matrix> => {
    const { base, adapter } = linear;
    if (adapter === null && fitsQ8(base)) return toQ8(base);
    const shape = [base.form, base.out, base.in, adapter?.rank].join(' ');
    const session = sessions.get(shape) ?? (await runtime.createSession(prepareInPlace(buildMerge(linear).toOnnx())));
    sessions.set(shape, session);
    const merged = emptyQ8(base.out, base.in);
    const blocks = base.in / BLOCK;
    const results: Record<string, HostTensor> = {
      q8: { dtype: 'uint8', dims: [base.out, blocks, BLOCK], data: merged.q8 },
      scale: { dtype: 'float32', dims: [base.out, blocks, 1], data: merged.scale },
    };
    await runInPlace(session, feeds(linear), results);
    return merged;
  };
  try {
    const layers: MergedLayers[number][] = [];
    for (const { linears } of weights.layers) {
      const entries: [LinearName, Q8Matrix][] = [];
      for (const name of LINEARS) entries.push([name, await merge(linears[name])]);
      layers.push(Object.fromEntries(entries) as Record<LinearName, Q8Matrix>);
    }
    return layers;
  } finally {
    for (const session of sessions.values()) await session.release();
  }
}

/**
 * w = base + (a b)^T, then of each block scale = max |w| / 127 and q8 = w / scale + 128, rounded.
 * Inputs: `a` (K, R) and `b` (R, N) where there is an adapter; `values` (N, K/32, 32) of a float32 base, else its `levels`
 * (N, K/32, 32), uint8, with `base_scale` and `offset` (N, K/32, 1). Outputs: `q8` (N, K/32, 32), `scale` (N, K/32, 1).
 */
function buildMerge({ base, adapter }: Linear): Graph {
  const graph = new Graph('merge-adapter');
  const blocks = base.in / BLOCK;
  const one = [base.out, blocks, 1];
  const all = [base.out, blocks, BLOCK];
  let weights: Value;
  if (base.form === 'float32') {
    weights = graph.input('values', 'float32', all);
  } else {
    const scaled = ops.mul(ops.cast(graph.input('levels', 'uint8', all), 'float32'), graph.input('base_scale', 'float32', one));
    weights = ops.add(scaled, graph.input('offset', 'float32', one));
  }
  if (adapter !== null) {
    const a = graph.input('a', 'float32', [base.in, adapter.rank]);
    const b = graph.input('b', 'float32', [adapter.rank, base.out]);
    weights = ops.add(weights, ops.reshape(ops.matmul(ops.transpose(b, [1, 0]), ops.transpose(a, [1, 0])), all));
  }
  const scale = ops.mul(ops.add(ops.reduceMax(ops.abs(weights), [2]), TINY), 1 / 127);
  // Truncation of a sum that is never negative: the half makes it rounding to the nearest.
  graph.output('q8', ops.cast(ops.add(ops.div(weights, scale), 128.5), 'uint8'));
  graph.output('scale', scale);
  return graph;
}

function feeds({ base, adapter }: Linear): Record<string, HostTensor> {
  const blocks = base.in / BLOCK;
  const one = [base.out, blocks, 1];
  const all = [base.out, blocks, BLOCK];
  const float = (data: Float32Array, dims: readonly number[]): HostTensor => ({ dtype: 'float32', dims, data });
  const low: Record<string, HostTensor> =
    adapter === null ? {} : { a: float(adapter.a, [base.in, adapter.rank]), b: float(adapter.b, [adapter.rank, base.out]) };
  if (base.form === 'float32') return { ...low, values: float(base.values, all) };
  const { q, offset } = levels(base);
  return { ...low, levels: { dtype: 'uint8', dims: all, data: q }, base_scale: float(base.scale, one), offset: float(offset, one) };
}
