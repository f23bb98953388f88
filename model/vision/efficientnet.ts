/**
 * EfficientNet-Lite as a graph: inverted residual blocks with ReLU6, no squeeze-and-excitation, batch norms already
 * folded into the convolutions (Tan and Le, 2019; the Lite variants are TensorFlow's, 2020).
 */
import { Graph, ops, type Value } from '../graph/index.js';
import type { TensorFile, VisionConfig } from '../pack/index.js';
import { float32 } from '../runtime/tensor.js';
import { readWeight } from './weights.js';

/** Pixels as they lie in frames: (N, size, size, 3) uint8 RGB. */
export const PIXELS = 'pixels';
/** (N, 5, C) float32: the mean of the last feature map, then the means of its quarters TL, TR, BL, BR. */
export const TOKENS = 'tokens';
/** (N, classes) float32. */
export const LOGITS = 'logits';

/** The mean of the map and the means of a 2 x 2 grid of it. */
export const TOKENS_PER_FRAME = 5;

const COLOURS = 3;
const RELU6_MAX = 6;

/**
 * The tower with one of its two heads.
 *
 * @param tensors The pack's weights: `stem`, `blocks.{i}.expand|depthwise|project`, `head` and, for logits, `classifier`,
 *   each `.weight` (M, C/groups, k, k) or (M, C) and `.bias` (M), stored as `readWeight` reads them.
 * @throws SafetensorsError naming the tensor that is missing or has another shape than `config` asks for.
 */
export function buildVisionGraph(config: VisionConfig, tensors: TensorFile, head: typeof TOKENS | typeof LOGITS): Graph {
  const graph = new Graph(`vision-${head}`);
  const { size, blocks } = config;
  const weights = new TowerWeights(graph, tensors);

  const pixels = graph.input(PIXELS, 'uint8', ['N', size, size, COLOURS]);
  const planes = ops.cast(ops.transpose(pixels, [0, 3, 1, 2]), 'float32'); // (N, 3, size, size)
  let x = ops.mul(ops.sub(planes, config.mean), 1 / config.std);

  const stem = config.stem ?? { kernel: 3, stride: 2, out: blocks[0]?.in ?? 0 };
  x = relu6(weights.convolve('stem', x, stem));
  for (const [index, block] of blocks.entries()) {
    const inside = block.in * block.expand;
    let y = x;
    if (block.expand !== 1) y = relu6(weights.convolve(`blocks.${index}.expand`, y, { kernel: 1, stride: 1, out: inside }));
    y = relu6(weights.convolve(`blocks.${index}.depthwise`, y, { kernel: block.kernel, stride: block.stride, out: inside, groups: inside }));
    y = weights.convolve(`blocks.${index}.project`, y, { kernel: 1, stride: 1, out: block.out });
    x = block.stride === 1 && block.in === block.out ? ops.add(x, y) : y;
  }
  const channels = config.head?.out ?? (tensors.get('head.bias').dims[0] as number);
  const map = relu6(weights.convolve('head', x, { kernel: 1, stride: 1, out: channels })); // (N, C, side, side)

  if (head === TOKENS) graph.output(TOKENS, poolTokens(map));
  else graph.output(LOGITS, weights.classify(ops.reduceMean(map, [2, 3], false), channels));
  return graph;
}

/** ReLU6, min(max(x, 0), 6): what the Lite variants use everywhere instead of swish. */
function relu6(x: Value): Value {
  return ops.clip(x, 0, RELU6_MAX);
}

/** (N, C, side, side) to (N, 5, C). Of an odd side the middle row and column belong to both halves. */
function poolTokens(map: Value): Value {
  const [, channels, side] = map.dims as [unknown, number, number];
  const area = side * side;
  const half = Math.ceil(side / 2);
  const within = (position: number, part: number): boolean => (part === 0 ? position < half : position >= side - half);
  // (side * side, 5): column 0 means over everything, the others each over their quarter. One product then pools all.
  const pooling = new Float32Array(area * TOKENS_PER_FRAME).map((_, at) => {
    const token = at % TOKENS_PER_FRAME;
    const cell = Math.floor(at / TOKENS_PER_FRAME);
    if (token === 0) return 1 / area;
    const quarter = token - 1;
    const covered = within(Math.floor(cell / side), quarter >> 1) && within(cell % side, quarter & 1);
    return covered ? 1 / (half * half) : 0;
  });
  const matrix = ops.constant(map.graph, float32(pooling, [area, TOKENS_PER_FRAME]));
  return ops.transpose(ops.matmul(ops.reshape(map, [0, channels, area]), matrix), [0, 2, 1]);
}

interface Convolution {
  readonly kernel: number;
  readonly stride: number;
  /** Channels out. */
  readonly out: number;
  readonly groups?: number;
}

class TowerWeights {
  constructor(
    private readonly graph: Graph,
    private readonly tensors: TensorFile,
  ) {}

  convolve(name: string, x: Value, { kernel, stride, out, groups = 1 }: Convolution): Value {
    const [, channels, size] = x.dims as [unknown, number, number];
    const weight = this.initializer(`${name}.weight`, [out, channels / groups, kernel, kernel]);
    const [before, after] = samePadding(size, kernel, stride);
    return ops.conv2d(x, weight, this.initializer(`${name}.bias`, [out]), { stride, groups, pads: [before, before, after, after] });
  }

  /** (N, C) to (N, classes). */
  classify(x: Value, channels: number): Value {
    const classes = this.tensors.get('classifier.bias').dims[0] as number;
    const weight = this.initializer('classifier.weight', [classes, channels]);
    return ops.add(ops.matmul(x, ops.transpose(weight, [1, 0])), this.initializer('classifier.bias', [classes]));
  }

  private initializer(name: string, dims: readonly number[]): Value {
    return this.graph.initializer(name, float32(readWeight(this.tensors, name, dims), dims));
  }
}

/** TensorFlow's SAME: the output is ceil(size / stride); of an odd number of padding pixels the extra one comes last. */
function samePadding(size: number, kernel: number, stride: number): [number, number] {
  const total = Math.max((Math.ceil(size / stride) - 1) * stride + kernel - size, 0);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}
