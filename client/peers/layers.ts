/** Layers that NeRV and HNeRV share. */
import { ops, type ParameterSpec, type Value } from '../../model/graph/index.js';
import type { Parameters } from './peer.js';

export function parameter(parameters: Parameters, name: string): Value {
  const value = parameters.get(name);
  if (value === undefined) throw new Error(`the network has no tensor "${name}"`);
  return value;
}

/** (N, C * s * s, H, W) -> (N, C, H * s, W * s): channels become pixels (Shi et al., 2016). */
export function pixelShuffle(x: Value, scale: number): Value {
  const [n, channels, height, width] = x.dims as [number, number, number, number];
  const out = channels / scale ** 2;
  const apart = ops.reshape(x, [n, out, scale, scale, height, width]);
  return ops.reshape(ops.transpose(apart, [0, 1, 4, 2, 5, 3]), [n, out, height * scale, width * scale]);
}

/** One upscaling block: convolution of odd kernel, pixel shuffle, GELU. */
export interface Block {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly scale: number;
}

export interface BlockOptions {
  /** Channels of the first feature map. */
  readonly width: number;
  /** What channels are divided by from one block to the next. */
  readonly reduction: number;
  readonly scales: readonly number[];
  /** Side of the kernel of block i. */
  readonly kernel: (block: number) => number;
}

/** Least channels of a block, as published ("lower width"). */
const LEAST_CHANNELS = 12;

export function decoderBlocks({ width, reduction, scales, kernel }: BlockOptions): Block[] {
  let inputs = width;
  return scales.map((scale, i) => {
    const outputs = Math.max(LEAST_CHANNELS, Math.round(inputs / reduction));
    const block = { name: `block${i}`, inputs, outputs, kernel: kernel(i), scale };
    inputs = outputs;
    return block;
  });
}

/** Tensors of the blocks and of the 3 x 3 head behind them. */
export function blockSpecs(blocks: readonly Block[]): ParameterSpec[] {
  const last = blocks.at(-1) as Block;
  return [
    ...blocks.flatMap(({ name, inputs, outputs, kernel, scale }) => convolutionSpecs(name, inputs, outputs * scale ** 2, kernel)),
    ...convolutionSpecs('head', last.outputs, 3, 3),
  ];
}

export function convolutionSpecs(name: string, inputs: number, outputs: number, kernel: number): ParameterSpec[] {
  return [{ name: `${name}.weight`, dims: [outputs, inputs, kernel, kernel] }, { name: `${name}.bias`, dims: [outputs] }];
}

/** Feature map (N, C, h, w) -> pixels in [0, 1] (N, 3, H, W): the blocks, the head and a sigmoid. */
export function runBlocks(parameters: Parameters, blocks: readonly Block[], features: Value): Value {
  let x = features;
  for (const { name, kernel, scale } of blocks) x = ops.gelu(pixelShuffle(convolution(parameters, name, x, kernel), scale));
  return ops.sigmoid(convolution(parameters, 'head', x, 3));
}

/** Convolution of stride 1 that keeps the size. */
export function convolution(parameters: Parameters, name: string, x: Value, kernel: number): Value {
  const pad = (kernel - 1) / 2;
  return ops.conv2d(x, parameter(parameters, `${name}.weight`), parameter(parameters, `${name}.bias`), { pads: [pad, pad, pad, pad] });
}

/**
 * Starting values of convolutions and linear layers, PyTorch's: uniform within 1 / sqrt(fan in). A layer's fan in is the
 * product of its weight's dimensions after the first; `specs` tells a bias its layer's weight.
 */
export function uniformStart(spec: ParameterSpec, specs: readonly ParameterSpec[], random: () => number): Float32Array {
  const weight = specs.find(({ name }) => name === spec.name.replace(/\.bias$/, '.weight')) ?? spec;
  const bound = 1 / Math.sqrt(weight.dims.slice(1).reduce((product, dim) => product * dim, 1));
  return Float32Array.from({ length: spec.dims.reduce((product, dim) => product * dim, 1) }, () => (random() * 2 - 1) * bound);
}

export interface Upscaling {
  /** Enlargement of each block, not rising, the last two 2, as published. */
  readonly scales: readonly number[];
  /** First feature map. */
  readonly rows: number;
  readonly columns: number;
}

/**
 * Scales for frames of `width` x `height` whose first feature map has about `rows` rows (published for 1280 x 640: 5 4 4 2 2
 * from 2 x 4, and 5 4 2 2 from 8 x 16). Few padded pixels count as much as the wanted number of rows.
 */
export function upscaling(width: number, height: number, rows: number): Upscaling {
  let best: { cost: number; upscaling: Upscaling } | null = null;
  for (const scales of scaleLists()) {
    const total = scales.reduce((product, scale) => product * scale, 1);
    const cells = { rows: Math.ceil(height / total), columns: Math.ceil(width / total) };
    const padded = (cells.rows * cells.columns * total ** 2) / (width * height) - 1;
    const cost = padded + Math.abs(Math.log2(cells.rows / rows)) + scales.length * 1e-3;
    if (best === null || cost < best.cost) best = { cost, upscaling: { scales, ...cells } };
  }
  return (best as { upscaling: Upscaling }).upscaling;
}

function* scaleLists(): Generator<number[]> {
  const grow = function* (list: number[]): Generator<number[]> {
    yield [...list, 2, 2];
    if (list.length === 3) return;
    for (let scale = 2; scale <= (list.at(-1) ?? 5); scale++) yield* grow([...list, scale]);
  };
  yield* grow([]);
}
