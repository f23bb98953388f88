/**
 * What a training step of the language model's adapter costs in ONNX Runtime from our own graph: forward and backward of one
 * decoder layer of the default pack's size (float32, base frozen, adapters of rank 32 trained), times its 30 layers. The
 * recipe trains in PyTorch (bfloat16); this is the figure that decides which of the two does it. Beside it, the same layer
 * in PyTorch where a Python with torch is on PATH (or named by LATENTCHAT_PYTHON).
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Graph, gradients, ops, type Value } from '../../model/graph/index.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { seededRandom } from '../../model/runtime/random.js';
import { float32, sizeOf, type HostTensor } from '../../model/runtime/tensor.js';
import { machine, median, printTable, timed } from './table.js';

const SHAPE = { batch: 16, length: 138, hidden: 576, heads: 9, kvHeads: 3, headDim: 64, intermediate: 1536, rank: 32, layers: 30 };
const THREADS = 2;
const RUNS = 8;

/** One layer: pre-norm attention (grouped-query, causal) and SwiGLU, every linear with its adapter. Positions are left out: they cost nothing. */
function layerStep(): Uint8Array {
  const { batch, length, hidden, heads, kvHeads, headDim, intermediate, rank } = SHAPE;
  const graph = new Graph('adapter-training-layer');
  const x = graph.input('x', 'float32', [batch, length, hidden]);
  const upstream = graph.input('upstream', 'float32', [batch, length, hidden]);
  const mask = graph.input('mask', 'float32', [length, length]);
  const ones = graph.input('ones', 'float32', [hidden]);
  const trained: Value[] = [x];
  const linear = (name: string, input: Value, from: number, to: number): Value => {
    const weight = graph.input(`${name}.weight`, 'float32', [from, to]);
    const [a, b] = [graph.input(`${name}.a`, 'float32', [from, rank]), graph.input(`${name}.b`, 'float32', [rank, to])];
    trained.push(a, b);
    return ops.add(ops.matmul(input, weight), ops.matmul(ops.matmul(input, a), b));
  };
  const split = (value: Value, count: number): Value => ops.transpose(ops.reshape(value, [batch, length, count, headDim]), [0, 2, 1, 3]);
  const group = heads / kvHeads;
  const shared = (value: Value): Value =>
    ops.reshape(ops.expand(ops.reshape(value, [batch, kvHeads, 1, length, headDim]), [batch, kvHeads, group, length, headDim]), [batch, heads, length, headDim]);

  const qkv = linear('qkv', ops.rmsNorm(x, ones, 1e-5), hidden, (heads + 2 * kvHeads) * headDim);
  const [q, k, v] = ops.split(qkv, 2, [heads, kvHeads, kvHeads].map((count) => count * headDim)) as [Value, Value, Value];
  const scores = ops.mul(ops.matmul(split(q, heads), ops.transposeLast(shared(split(k, kvHeads)))), headDim ** -0.5);
  const attended = ops.matmul(ops.softmax(ops.add(scores, mask)), shared(split(v, kvHeads)));
  const middle = ops.add(x, linear('o', ops.reshape(ops.transpose(attended, [0, 2, 1, 3]), [batch, length, hidden]), hidden, hidden));
  const [gate, up] = ops.split(linear('gate_up', ops.rmsNorm(middle, ones, 1e-5), hidden, 2 * intermediate), 2, [intermediate, intermediate]) as [Value, Value];
  const y = ops.add(middle, linear('down', ops.mul(ops.silu(gate), up), intermediate, hidden));
  const loss = ops.reduceSum(ops.mul(y, upstream), null, false);
  gradients(loss, trained).forEach((gradient, i) => graph.output(`gradient${i}`, gradient));
  return graph.toOnnx();
}

async function ours(): Promise<number> {
  const session = await nodeRuntime({ threads: THREADS }).createSession(layerStep());
  const random = seededRandom(1);
  const { batch, length, hidden, heads, kvHeads, headDim, intermediate, rank } = SHAPE;
  const dims: Record<string, number[]> = {
    x: [batch, length, hidden], upstream: [batch, length, hidden], mask: [length, length], ones: [hidden],
    'qkv.weight': [hidden, (heads + 2 * kvHeads) * headDim], 'o.weight': [hidden, hidden], 'gate_up.weight': [hidden, 2 * intermediate], 'down.weight': [intermediate, hidden],
  };
  for (const name of ['qkv', 'o', 'gate_up', 'down']) {
    const [from, to] = dims[`${name}.weight`] as [number, number];
    Object.assign(dims, { [`${name}.a`]: [from, rank], [`${name}.b`]: [rank, to] });
  }
  const feeds: Record<string, HostTensor> = {};
  for (const [name, shape] of Object.entries(dims)) feeds[name] = float32(Float32Array.from({ length: sizeOf(shape) }, () => (random() - 0.5) * 0.1), shape);
  const times = await timed(RUNS, 2, () => session.run(feeds));
  await session.release();
  return median(times);
}

function torch(dtype: 'float32' | 'bfloat16'): number | null {
  const script = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../test/bench/adapter_training_torch.py');
  const result = spawnSync(process.env['LATENTCHAT_PYTHON'] ?? 'python3', [script, JSON.stringify({ ...SHAPE, threads: THREADS, runs: RUNS, dtype })], { encoding: 'utf8' });
  return result.status === 0 ? Number(result.stdout) : null;
}

const row = (name: string, ms: number | null): string[] => (ms === null ? [name, 'no torch', ''] : [name, ms.toFixed(0), ((ms * SHAPE.layers) / 1000).toFixed(1)]);
console.log(`${machine()}, ${THREADS} threads, ${SHAPE.batch} x ${SHAPE.length} tokens, forward and backward, median of ${RUNS}`);
printTable([
  ['engine', 'ms a layer', `s for ${SHAPE.layers} layers`],
  row('ONNX Runtime, our graph, float32', await ours()),
  row('PyTorch, float32', torch('float32')),
  row('PyTorch, bfloat16', torch('bfloat16')),
]);
