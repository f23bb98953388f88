/**
 * What a training step of the language model's adapter costs: the whole step of the recipe at the default pack's size, as
 * one graph in ONNX Runtime (float32), and by the recipe's own code in PyTorch (bfloat16) where a Python with the recipe's
 * packages is on PATH (or named by LATENTCHAT_PYTHON). The ratio decides which of the two trains it.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { adamRate } from '../../model/graph/index.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { seededRandom } from '../../model/runtime/random.js';
import { float32, sizeOf, type HostTensor } from '../../model/runtime/tensor.js';
import { ADAM, adapterStep, type StepShape } from '../../projector/training/step.js';
import { machine, median, printTable, timed } from './table.js';

const SHAPE: StepShape = {
  batch: 16, length: 130, root: 16, scored: 832, layers: 30,
  hidden: 576, heads: 9, kvHeads: 3, headDim: 64, intermediate: 1536, vocabulary: 49152, rank: 32, rmsEpsilon: 1e-5,
};
const THREADS = 2;
const WARM_UP = 2;
const RUNS = 3;
const HIDDEN_SCORE = -1e30;

/** 0 where query t of each of the stacked groups sees key s (the root, and what is not after it), else HIDDEN_SCORE. */
function causalMask(dims: readonly number[], length: number, root: number): HostTensor {
  const keys = dims.at(-1) as number;
  return float32(Float32Array.from({ length: sizeOf(dims) }, (_, i) => ((i % keys) - root > Math.floor(i / keys) % length ? HIDDEN_SCORE : 0)), dims);
}

function int64(values: readonly number[]): HostTensor {
  return { dtype: 'int64', dims: [values.length], data: BigInt64Array.from(values, BigInt) };
}

/** Median seconds of a step, and the loss before the first and after the last. */
async function ours(): Promise<{ seconds: number; losses: readonly number[] }> {
  const graph = adapterStep(SHAPE);
  const session = await nodeRuntime({ threads: THREADS }).createSession(graph.toOnnx());
  const random = seededRandom(1);
  const pool = Float32Array.from({ length: 1 << 22 }, () => (random() - 0.5) * 0.1);
  const { batch, length, root, scored, vocabulary } = SHAPE;
  const targets = Array.from({ length: scored }, () => Math.floor(random() * vocabulary));
  const given: Record<string, HostTensor> = {
    at: int64(targets.map((_, i) => root + Math.floor((i * batch * length) / scored))),
    targets: int64(targets), flatTargets: int64(targets.map((target, i) => i * vocabulary + target)),
    share: float32(new Float32Array(scored).fill(1 / scored), [scored, 1]),
    decay: float32(Float32Array.of(1 - 8e-6), []),
  };
  /** Numbers that are as large as trained ones would be; what they are does not change the work. */
  const fill = (name: string, dims: readonly number[]): HostTensor => {
    if (name === 'mask') return causalMask(dims, length, root);
    if (name === 'rootMask') return causalMask(dims, root, 0);
    const data = new Float32Array(sizeOf(dims));
    if (/norm$/.test(name)) return float32(data.fill(1), dims);
    if (/kept$/.test(name)) return float32(data.fill(2), dims);
    if (/\.(b|first|second)$/.test(name)) return float32(data, dims); // b and the moments start at zero
    for (let at = 0; at < data.length; ) {
      const piece = pool.subarray(Math.floor(random() * (pool.length - 1024))).subarray(0, data.length - at);
      data.set(piece, at);
      at += piece.length;
    }
    return float32(data, dims);
  };
  const feeds: Record<string, HostTensor> = {};
  for (const { name, dims } of graph.inputs) if (name !== 'rate') feeds[name] = given[name] ?? fill(name, dims as number[]);
  // Written beside the old state, not over it: the backward pass may still read what an update has computed.
  const fetches: Record<string, HostTensor | null> = { loss: null };
  const state = graph.outputs.filter(({ name }) => name !== 'loss').map(({ name }) => name.replace(/_out$/, ''));
  for (const name of state) fetches[`${name}_out`] = float32(new Float32Array((feeds[name] as HostTensor).data.length), (feeds[name] as HostTensor).dims);

  const losses: number[] = [];
  const times = await timed(RUNS, WARM_UP, async () => {
    feeds['rate'] = float32(Float32Array.of(adamRate(8e-4, losses.length + 1, ADAM)), []);
    const results = await session.run(feeds, fetches);
    losses.push(Number(results['loss']?.data[0]));
    for (const name of state) {
      const old = feeds[name] as HostTensor;
      feeds[name] = fetches[`${name}_out`] as HostTensor;
      fetches[`${name}_out`] = old;
    }
  });
  await session.release();
  return { seconds: median(times) / 1000, losses };
}

/** Median seconds of the recipe's step, or null without its packages. */
function recipe(processes: number): number | null {
  const script = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../test/bench/adapter_training_torch.py');
  const facts = JSON.stringify({ ...SHAPE, threads: THREADS, processes, runs: RUNS, warmUp: WARM_UP });
  const result = spawnSync(process.env['LATENTCHAT_PYTHON'] ?? 'python3', [script, facts, 'weights/recipe'], { encoding: 'utf8' });
  return result.status === 0 ? Number(result.stdout) : null;
}

const theirs = [2, 1].map((processes) => ({ processes, seconds: recipe(processes) }));
const { seconds, losses } = await ours();
const fastest = Math.min(...theirs.flatMap((one) => (one.seconds === null ? [] : [one.seconds])));
const row = (name: string, time: number | null): string[] => (time === null ? [name, 'no torch', ''] : [name, time.toFixed(2), Number.isFinite(fastest) ? (time / fastest).toFixed(2) : '']);
console.log(`${machine()}, ${THREADS} threads, ${SHAPE.root + SHAPE.batch * SHAPE.length} tokens, ${SHAPE.scored} scored, whole step, median of ${RUNS}`);
printTable([
  ['engine', 's a step', 'ratio to the fastest PyTorch'],
  ...theirs.map((one) => row(`PyTorch, the recipe, bfloat16, ${one.processes} x ${THREADS / one.processes} thread${one.processes === 1 ? 's' : ''}`, one.seconds)),
  row('ONNX Runtime, our graph, float32', seconds),
]);
console.log(`loss of the made-up batch in ONNX Runtime: ${losses.map((loss) => loss.toFixed(2)).join(', ')}; peak memory ${(process.resourceUsage().maxRSS / 2 ** 20).toFixed(1)} GiB`);
