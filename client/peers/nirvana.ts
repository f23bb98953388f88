/**
 * NIRVANA (Maiya et al., CVPR 2023): a network for each group of frames, from a patch's centre to the pixels of the
 * patch in all frames of the group. A stem of sines gives a feature map, each frame adds a sinusoid of its index, and
 * two convolutions a frame and a pixel shuffle draw. The stem's weights are whole numbers times a scale a layer.
 */
import { ops, ParameterLayout, type ParameterSpec, type Value } from '../../model/graph/index.js';
import { float32, sizeOf } from '../../model/runtime/tensor.js';
import { parameter, pixelShuffle, uniformStart } from './layers.js';
import type { Parameters, PeerVideo } from './peer.js';

/** SIREN's frequency, of both sine layers. */
const FREQUENCY = 30;
/** Base of the sinusoid of a frame's index. */
const INDEX_BASE = 100;
/** Enlargement by the pixel shuffle, and how many times the channels the convolution before it gives. */
const SHUFFLE = 2;
const CHANNEL_GROWTH = 2;
export const STEM_LAYERS = [0, 1, 2] as const;
/** Whole numbers of the first layer and of the others start within these. */
const FIRST_START = 200;
const HIDDEN_START = 3;

export interface NirvanaShape {
  /** Frames of a group. */
  readonly group: number;
  /** Of the stem's hidden layers. */
  readonly width: number;
  /** Side of a patch in pixels, and channels of a patch's feature map for each frame. */
  readonly patch: number;
  readonly channels: number;
}

/** Tensors of a group's network: whole numbers of the stem first. */
export interface NirvanaSpecs {
  readonly whole: readonly ParameterSpec[];
  /** (1) each: what a layer's whole numbers, divided by their largest, are multiplied by. */
  readonly scales: readonly ParameterSpec[];
  /** Biases and convolutions. */
  readonly rest: readonly ParameterSpec[];
}

export function nirvanaSpecs({ group, width, patch, channels }: NirvanaShape): NirvanaSpecs {
  const sizes = [2, width, width, channels * (patch / SHUFFLE) ** 2];
  const layers = STEM_LAYERS.map((i) => ({ name: `stem${i}`, dims: [sizes[i] as number, sizes[i + 1] as number] }));
  const grown = CHANNEL_GROWTH * channels;
  return {
    whole: layers.map(({ name, dims }) => ({ name: `${name}.whole`, dims })),
    scales: layers.map(({ name }) => ({ name: `${name}.scale`, dims: [1] })),
    rest: [
      ...layers.map(({ name, dims }) => ({ name: `${name}.bias`, dims: [dims[1] as number] })),
      { name: 'wide.weight', dims: [group * grown, channels, 3, 3] },
      { name: 'wide.bias', dims: [group * grown] },
      { name: 'last.weight', dims: [group * 3, grown / SHUFFLE ** 2, 3, 3] },
      { name: 'last.bias', dims: [group * 3] },
    ],
  };
}

/** Numbers that are stored of each group. */
export function nirvanaNumbers(shape: NirvanaShape): number {
  const { whole, scales, rest } = nirvanaSpecs(shape);
  return new ParameterLayout([...whole, ...scales, ...rest]).size;
}

/**
 * Starting values: whole numbers in their range, scales so that weights begin as SIREN's, the rest as PyTorch's layers.
 */
export function nirvanaStart(spec: ParameterSpec, specs: NirvanaSpecs, random: () => number): Float32Array {
  const { name, dims } = spec;
  const uniform = (bound: number): Float32Array =>
    Float32Array.from({ length: sizeOf(dims) }, () => (random() * 2 - 1) * bound);
  if (name.endsWith('.whole')) return uniform(wholeBound(name));
  if (!name.startsWith('stem')) return uniformStart(spec, specs.rest, random);
  const [inputs] = specs.whole.find((other) => other.name === name.replace(/\.\w+$/, '.whole'))?.dims as [number];
  if (name.endsWith('.scale')) return Float32Array.of(isFirst(name) ? 1 / inputs : Math.sqrt(6 / inputs) / FREQUENCY);
  return uniform(1 / Math.sqrt(inputs));
}

const isFirst = (name: string): boolean => name.startsWith('stem0');

/** What a layer's whole numbers start within. */
export function wholeBound(name: string): number {
  return isFirst(name) ? FIRST_START : HIDDEN_START;
}

/**
 * Pixels, about in [0, 1], of every patch: (P, group * 3, patch, patch).
 *
 * @param weights the stem's, (inputs, outputs) each
 * @param centres (P, 2) of the patches, in [-1, 1]
 */
export function nirvanaPixels(
  weights: readonly Value[],
  parameters: Parameters,
  shape: NirvanaShape,
  centres: Value,
): Value {
  const { group, patch, channels } = shape;
  const patches = centres.dims[0] as number;
  const side = patch / SHUFFLE;
  let x = centres;
  weights.forEach((weight, i) => {
    x = ops.add(ops.matmul(x, weight), parameter(parameters, `stem${i}.bias`));
    if (i < weights.length - 1) x = ops.sin(ops.mul(x, FREQUENCY));
  });
  const features = ops.reshape(x, [patches, 1, channels, side * side]);
  const indices = ops.constant(x.graph, float32(frameIndices(group, channels), [1, group, channels, 1]));
  const ofFrames = ops.reshape(ops.add(features, indices), [patches, group * channels, side, side]);
  const convolved = (input: Value, name: string): Value =>
    ops.conv2d(input, parameter(parameters, `${name}.weight`), parameter(parameters, `${name}.bias`), {
      pads: [1, 1, 1, 1],
      groups: group,
    });
  return convolved(ops.gelu(pixelShuffle(convolved(ofFrames, 'wide'), SHUFFLE)), 'last');
}

/** (group, channels): a sinusoid of each frame's index in its group (Vaswani et al., 2017, with a base of 100). */
function frameIndices(group: number, channels: number): Float32Array {
  return Float32Array.from({ length: group * channels }, (_, at) => {
    const [index, channel] = [Math.floor(at / channels), at % channels];
    const angle = index / INDEX_BASE ** ((2 * Math.floor(channel / 2)) / channels);
    return channel % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
}

/** Patches of a frame: rows and columns of them. */
export function patchGrid(
  { width, height }: PeerVideo,
  { patch }: NirvanaShape,
): { readonly rows: number; readonly columns: number } {
  return { rows: Math.ceil(height / patch), columns: Math.ceil(width / patch) };
}

/** (P, 2): y and x of every patch's centre, in [-1, 1], row by row. */
export function patchCentres({ rows, columns }: { readonly rows: number; readonly columns: number }): Float32Array {
  const centre = (index: number, count: number): number => (2 * index + 1) / count - 1;
  return Float32Array.from(
    Array.from({ length: rows * columns }, (_, p) => [
      centre(Math.floor(p / columns), rows),
      centre(p % columns, columns),
    ]).flat(),
  );
}
