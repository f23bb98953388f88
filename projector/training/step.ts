/**
 * A training step of projector and adapter as one graph: forward, cross entropy through the frozen head, backward, clipping and AdamW, as
 * the recipe's (weights/recipe/language.py and train.py) in PyTorch. The linears and the head have backward passes of their own; the
 * pieces between them are differentiated by `gradients`.
 */
import { ADAM_DEFAULTS, adamStep, Graph, gradients, ops, type AdamOptions, type Value } from '../../model/graph/index.js';
import { projectorShapes } from '../initialise.js';
import { projectTokens } from '../network.js';

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
  readonly rmsEpsilon: number;
  /** The projector in front, trained along; absent: the embeddings of all tokens are given. */
  readonly projector?: {
    /** Frames F of the whole batch. */
    readonly frames: number;
    /** D: numbers a frame. */
    readonly latent: number;
    /** K: tokens a frame. */
    readonly tokens: number;
    /** Width of its hidden layer. */
    readonly inner: number;
  };
}

/** The recipe's. */
export const ADAM: AdamOptions = { ...ADAM_DEFAULTS, beta2: 0.98 };

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
 * Inputs: `x` (root + B L, hidden), or with a projector `words` of that shape, zeros where frames stand, `latents` (F, D) and `place`
 * (root + B L) int64, 0 for words and 1 + the row of the projected tokens (F K) for frames; `cos`, `sin` (root + B L, heads + kvHeads,
 * headDim / 2), those of the queries divided by sqrt(headDim); `rootMask` and `mask` additive; `at` (scored) int64, flat rows; `targets`
 * (scored) int64 and `flatTargets`, the same as places in the flat logits; `share` (scored, 1), what each counts, together 1; `head`
 * (vocabulary, hidden); every linear's `weight` (in, out), `a` (in, rank), `b` (rank, out), `kept` (rank, 1), the adapter's scale or 0
 * where dropped; `rate` () from adamRate, `decay` (). Parameters come with `.first` and `.second`; each of the three has an output of its
 * name with `_out`. Output `loss` ().
 * @param update false: the graph ends with the loss, and has neither moments nor `rate` and `decay`
 */
export function adapterStep(shape: StepShape, update = true): Graph {
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

  const norm = (name: string) => (x: Value): Part => derived(x, (value) => ops.rmsNorm(value, graph.input(name, 'float32', [hidden]), shape.rmsEpsilon));

  /** (tokens, count * headDim) -> the root's (1, KV, G root, headDim) and the rows' (B, KV, G L, headDim). */
  const splitRows = (value: Value, count: number): [Value, Value] => {
    const parts = ops.split(ops.reshape(value, [tokens, count, headDim]), 0, [root, batch * length]) as [Value, Value];
    return [[1, root] as const, [batch, length] as const].map(([rows, each], i) =>
      ops.reshape(ops.transpose(ops.reshape(parts[i] as Value, [rows, each, count, headDim]), [0, 2, 1, 3]), [rows, kvHeads, (count / kvHeads) * each, headDim])) as [Value, Value];
  };
  const attend = (q: Value, k: Value, v: Value, hide: Value): Value => {
    const out = ops.matmul(ops.softmax(ops.add(ops.matmul(q, ops.transposeLast(k)), hide)), v);
    const [rows, each] = [q.dims[0] as number, (q.dims[2] as number) / group];
    return ops.reshape(ops.transpose(ops.reshape(out, [rows, heads, each, headDim]), [0, 2, 1, 3]), [rows * each, heads * headDim]);
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
      norm(`${i}.attention_norm`), linear(`${i}.qkv`, hidden, (heads + 2 * kvHeads) * headDim), (qkv) => derived(qkv, attention), linear(`${i}.o`, heads * headDim, hidden)]));
    const mlpPart = (value: Value): Part => residual(value, chain(value, [
      norm(`${i}.mlp_norm`), linear(`${i}.gate_up`, hidden, 2 * intermediate), (both) => derived(both, swiglu), linear(`${i}.down`, intermediate, hidden)]));
    return chain(x, [attentionPart, mlpPart]);
  };
  const at = graph.input('at', 'int64', [scored]);
  const input = shape.projector === undefined ? null : projectedInput(graph, shape, shape.projector);
  const network = chain(input?.x ?? graph.input('x', 'float32', [tokens, hidden]), [
    ...Array.from({ length: layers }, (_, i) => layer(i)), norm('norm'), (value) => derived(value, (all) => ops.gather(all, at, 0))]);

  // The head is frozen: the gradient of cross entropy is (softmax - one hot) E, made without the one hot.
  const head = graph.input('head', 'float32', [vocabulary, hidden]);
  const chances = ops.softmax(ops.matmul(network.output, ops.transposeLast(head)));
  const rightChances = ops.gather(ops.reshape(chances, [scored * vocabulary]), graph.input('flatTargets', 'int64', [scored]), 0);
  const counts = graph.input('share', 'float32', [scored, 1]);
  // A token that counts nothing may have any chance: the log of 0 times 0 would be no number.
  const logs = ops.log(ops.clip(rightChances, 1e-30, 1));
  graph.output('loss', ops.neg(ops.reduceSum(ops.mul(logs, ops.reshape(counts, [scored])), null, false)));
  if (!update) return graph;
  const right = ops.gather(head, graph.input('targets', 'int64', [scored]), 0);
  const atInput = network.backward(ops.mul(ops.sub(ops.matmul(chances, head), right), counts));
  if (input !== null) {
    for (const [i, gradient] of gradients(input.x, input.parameters, atInput).entries()) trained.set(input.parameters[i] as Value, gradient);
  }

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

/** Embeddings of all tokens (tokens, H): words as they are given, frames as the projector makes them. */
function projectedInput(graph: Graph, shape: StepShape, projector: NonNullable<StepShape['projector']>): { x: Value; parameters: Value[] } {
  const { frames, latent, tokens: each, inner } = projector;
  const { hidden } = shape;
  const tokens = shape.root + shape.batch * shape.length;
  const shapes = projectorShapes({ latent, tokens: each, hidden, inner });
  const weights = new Map(Object.entries(shapes).map(([name, dims]) => [name, name === 'norm' ? graph.input('projector.norm', 'float32', dims) : graph.parameter(`projector.${name}`, dims)]));
  const projected = projectTokens(graph.input('latents', 'float32', [frames, latent]), weights);
  const nothing = ops.constant(graph, { dtype: 'float32', dims: [1, hidden], data: new Float32Array(hidden) });
  const rows = ops.concat([nothing, ops.reshape(projected, [frames * each, hidden])], 0);
  const words = graph.input('words', 'float32', [tokens, hidden]);
  const x = ops.add(words, ops.gather(rows, graph.input('place', 'int64', [tokens]), 0));
  return { x, parameters: [...weights.values()].filter((value) => graph.parameters.includes(value)) };
}
