/**
 * The recipe's training step of the adapter (weights/recipe/language.py and train.py) as one graph: forward, cross entropy
 * through the tied head, backward, clipping and AdamW. As in the recipe, the linears and the head have backward passes
 * of their own; the pieces between them are differentiated by `gradients`.
 */
import { ADAM_DEFAULTS, adamStep, Graph, gradients, ops, type AdamOptions, type Value } from '../../model/graph/index.js';

/** Sizes of the decoder and of one step's batch. */
export interface StepShape {
  /** Rows B and tokens a row L, which all see `root` tokens before them. */
  readonly batch: number;
  readonly length: number;
  readonly root: number;
  /** Tokens whose next token is scored. */
  readonly scored: number;
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  readonly rank: number;
}

/** The recipe's. */
export const ADAM: AdamOptions = { ...ADAM_DEFAULTS, beta2: 0.98 };
const RMS_EPSILON = 1e-5;

/** A part of the network: its result, and what its input's gradient is when the result's gradient is known. */
interface Part {
  readonly output: Value;
  readonly backward: (gradient: Value) => Value;
}

/** A part that `gradients` differentiates. */
function derived(input: Value, forward: (x: Value) => Value): Part {
  const output = forward(input);
  return { output, backward: (gradient) => gradients(output, [input], gradient)[0] as Value };
}

/** The parts one after the other. */
function chain(input: Value, parts: readonly ((x: Value) => Part)[]): Part {
  const made: Part[] = [];
  for (const part of parts) made.push(part(made.at(-1)?.output ?? input));
  return { output: made.at(-1)?.output ?? input, backward: (gradient) => made.reduceRight((g, part) => part.backward(g), gradient) };
}

/** x + f(x). */
function residual(input: Value, f: Part): Part {
  return { output: ops.add(input, f.output), backward: (gradient) => ops.add(gradient, f.backward(gradient)) };
}

/**
 * Inputs: `x` (root + B L, hidden); `cos`, `sin` (root + B L, heads + kvHeads, headDim / 2), those of the queries divided by
 * sqrt(headDim); `rootMask` and `mask` additive; `at` (scored) int64, flat rows; `targets` (scored) int64 and `flatTargets`,
 * the same as places in the flat logits; `embedding` (vocabulary, hidden); every linear's `weight` (in, out), `a` (in, rank),
 * `b` (rank, out), `kept` (rank, 1), the adapter's scale or 0 where dropped; `rate` () from adamRate, `decay` ().
 * Parameters come with `.first` and `.second`; each of the three has an output of its name with `_out`. Output `loss` ().
 */
export function adapterStep(shape: StepShape): Graph {
  const { batch, length, root, scored, layers, hidden, heads, kvHeads, headDim, intermediate, vocabulary, rank } = shape;
  const tokens = root + batch * length;
  const group = heads / kvHeads;
  const graph = new Graph('adapter-training-step');
  const [cos, sin] = ['cos', 'sin'].map((name) => graph.input(name, 'float32', [tokens, heads + kvHeads, headDim / 2])) as [Value, Value];
  const rootMask = graph.input('rootMask', 'float32', [1, 1, group * root, root]);
  const mask = graph.input('mask', 'float32', [batch, 1, group * length, root + length]);
  const trained = new Map<Value, Value>();

  /** x W + (x a) b as x (W + a b): one product over the tokens each way, and no pass to add two. W has no gradient. */
  const linear = (name: string, from: number, to: number) => (x: Value): Part => {
    const weight = graph.input(`${name}.weight`, 'float32', [from, to]);
    const [a, b] = [graph.parameter(`${name}.a`, [from, rank]), graph.parameter(`${name}.b`, [rank, to])];
    const kept = graph.input(`${name}.kept`, 'float32', [rank, 1]);
    const scaled = ops.mul(b, kept);
    const merged = ops.add(weight, ops.matmul(a, scaled));
    const backward = (gradient: Value): Value => {
      const low = ops.matmul(gradient, ops.transposeLast(scaled));
      trained.set(a, ops.matmul(ops.transposeLast(x), low));
      trained.set(b, ops.mul(ops.matmul(ops.transposeLast(ops.matmul(x, a)), gradient), kept));
      return ops.matmul(gradient, ops.transposeLast(merged));
    };
    return { output: ops.matmul(x, merged), backward };
  };

  const norm = (name: string) => (x: Value): Part => derived(x, (value) => ops.rmsNorm(value, graph.input(name, 'float32', [hidden]), RMS_EPSILON));

  /** (tokens, count * headDim) -> the root's (1, KV, G root, headDim) and the rows' (B, KV, G L, headDim). */
  const splitRows = (value: Value, count: number): [Value, Value] => {
    const parts = ops.split(ops.reshape(value, [tokens, count, headDim]), 0, [root, batch * length]) as [Value, Value];
    return [[1, root] as const, [batch, length] as const].map(([rows, each], i) =>
      ops.reshape(ops.transpose(ops.reshape(parts[i] as Value, [rows, each, count, headDim]), [0, 2, 1, 3]), [rows, kvHeads, (count / kvHeads) * each, headDim])) as [Value, Value];
  };
  const attend = (q: Value, k: Value, v: Value, hide: Value): Value => {
    const out = ops.matmul(ops.softmax(ops.add(ops.matmul(q, ops.transposeLast(k)), hide)), v);
    const [rows, each] = [q.dims[0] as number, (q.dims[2] as number) / group];
    return ops.reshape(ops.transpose(ops.reshape(out, [rows, heads, each, headDim]), [0, 2, 1, 3]), [rows * each, hidden]);
  };
  const attention = (qkv: Value): Value => {
    const [both, values] = ops.split(qkv, 1, [(heads + kvHeads) * headDim, kvHeads * headDim]) as [Value, Value];
    const [x, y] = ops.split(ops.reshape(both, [tokens, heads + kvHeads, headDim]), 2, [headDim / 2, headDim / 2]) as [Value, Value];
    const rotated = ops.concat([ops.sub(ops.mul(x, cos), ops.mul(y, sin)), ops.add(ops.mul(y, cos), ops.mul(x, sin))], 2);
    const [queries, keys] = ops.split(rotated, 1, [heads, kvHeads]) as [Value, Value];
    const [[rootQ, rowQ], [rootK, rowK], [rootV, rowV]] = [splitRows(queries, heads), splitRows(keys, kvHeads), splitRows(values, kvHeads)];
    const withRoot = (shared: Value, rows: Value): Value => ops.concat([ops.expand(shared, [batch, kvHeads, root, headDim]), rows], 2);
    return ops.concat([attend(rootQ, rootK, rootV, rootMask), attend(rowQ, withRoot(rootK, rowK), withRoot(rootV, rowV), mask)], 0);
  };
  const swiglu = (x: Value): Value => {
    const [gate, up] = ops.split(x, 1, [intermediate, intermediate]) as [Value, Value];
    return ops.mul(ops.silu(gate), up);
  };

  const layer = (i: number) => (x: Value): Part => {
    const attentionPart = (value: Value): Part => residual(value, chain(value, [
      norm(`${i}.attention_norm`), linear(`${i}.qkv`, hidden, (heads + 2 * kvHeads) * headDim), (qkv) => derived(qkv, attention), linear(`${i}.o`, hidden, hidden)]));
    const mlpPart = (value: Value): Part => residual(value, chain(value, [
      norm(`${i}.mlp_norm`), linear(`${i}.gate_up`, hidden, 2 * intermediate), (both) => derived(both, swiglu), linear(`${i}.down`, intermediate, hidden)]));
    return chain(x, [attentionPart, mlpPart]);
  };
  const at = graph.input('at', 'int64', [scored]);
  const network = chain(graph.input('x', 'float32', [tokens, hidden]), [
    ...Array.from({ length: layers }, (_, i) => layer(i)), norm('norm'), (value) => derived(value, (all) => ops.gather(all, at, 0))]);

  // The head is frozen: the gradient of cross entropy is (softmax - one hot) E, made without the one hot.
  const embedding = graph.input('embedding', 'float32', [vocabulary, hidden]);
  const chances = ops.softmax(ops.matmul(network.output, ops.transposeLast(embedding)));
  const right = ops.gather(embedding, graph.input('targets', 'int64', [scored]), 0);
  const rightChances = ops.gather(ops.reshape(chances, [scored * vocabulary]), graph.input('flatTargets', 'int64', [scored]), 0);
  graph.output('loss', ops.neg(ops.reduceMean(ops.log(rightChances), null, false)));
  network.backward(ops.mul(ops.sub(ops.matmul(chances, embedding), right), 1 / scored));

  const squares = [...trained.values()].map((gradient) => ops.reduceSum(ops.square(gradient), null, false)).reduce((a, b) => ops.add(a, b));
  const share = ops.clip(ops.div(1, ops.sqrt(ops.add(squares, 1e-12))), 0, 1); // clips the norm of all gradients at 1
  const [rate, decay] = [graph.input('rate', 'float32', []), graph.input('decay', 'float32', [])];
  for (const [parameter, gradient] of trained) {
    const [first, second] = ['first', 'second'].map((part) => graph.input(`${parameter.name}.${part}`, 'float32', parameter.dims)) as [Value, Value];
    const next = adamStep({ parameters: ops.mul(parameter, decay), first, second }, ops.mul(gradient, share), rate, ADAM);
    graph.output(`${parameter.name}_out`, next.parameters);
    graph.output(`${first.name}_out`, next.first);
    graph.output(`${second.name}_out`, next.second);
  }
  return graph;
}
