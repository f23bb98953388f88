/**
 * NVP (Kim et al., NeurIPS 2022): latents from two-dimensional grids over pairs of x, y and t and from one grid over
 * all three, a network of the latent that modulates a SIREN of the time. Built for samples at the crossings of rows and
 * columns, where looking into a two-dimensional grid is a product with two thin matrices.
 */
import { linearWeights, ops, type ParameterSpec, type Value } from '../../model/graph/index.js';
import { float32, sizeOf } from '../../model/runtime/tensor.js';
import { normal } from '../../model/runtime/random.js';
import { parameter } from './layers.js';
import type { Parameters, PeerVideo } from './peer.js';

/**
 * As published for its small model: features of a node, side of the coarsest level and growth from one to the next,
 * width and depth.
 */
const FEATURES = 2;
const COARSEST = 16;
const GROWTH = 1.35;
const WIDTH = 128;
const LAYERS = 3;
/** Neighbours of the nearest node that are looked up, on each axis of the picture. */
const NEIGHBOURS = [-1, 0, 1] as const;
/** SIREN's frequencies (Sitzmann et al., 2020), of its first layer and of the others. */
const FIRST_FREQUENCY = 30;
const HIDDEN_FREQUENCY = 1;
/** Starting values of grids are within this. */
const GRID_START = 1e-4;
const PLANES = ['yx', 'ty', 'tx'] as const;
const VOLUME = 'tyx';

export interface NvpShape {
  /** Levels of each two-dimensional grid. */
  readonly levels: number;
  /** Nodes of the three-dimensional grid on each axis of the picture; on the time axis it has one a frame. */
  readonly side: number;
}

/** Where samples lie: the network gives every crossing of a moment, a row and a column. */
export interface NvpSamples {
  /** (F) from the first frame's 0 to the last one's 1. */
  readonly ts: Value;
  /** (F) the frames' middles in [0, 1]. */
  readonly steps: Value;
  /** (R) and (C), from the first row's or column's 0 to the last one's 1. */
  readonly ys: Value;
  readonly xs: Value;
}

/** Nodes of a two-dimensional grid's level on each axis. */
export function levelSide(level: number): number {
  return Math.ceil(COARSEST * GROWTH ** level - 1) + 1;
}

/** The grids' tensors, one of each level and feature apart, as each has its own range of stored values. */
export function gridSpecs({ frames }: PeerVideo, { levels, side }: NvpShape): ParameterSpec[] {
  const planes = PLANES.flatMap((plane) =>
    Array.from({ length: levels }, (_, i) => ({ name: `${plane}${i}`, dims: [FEATURES, levelSide(i), levelSide(i)] })),
  );
  return [...planes, { name: VOLUME, dims: [FEATURES, frames, side, side] }];
}

/** Tensors of the modulator, which reads the latent in every layer, and of the SIREN. */
export function headSpecs(shape: NvpShape): ParameterSpec[] {
  const latent = latentSize(shape);
  return [
    ...Array.from({ length: LAYERS }, (_, i) => [
      { name: `modulator${i}.latent`, dims: [latent, WIDTH] },
      ...(i === 0 ? [] : [{ name: `modulator${i}.hidden`, dims: [WIDTH, WIDTH] }]),
      { name: `modulator${i}.bias`, dims: [WIDTH] },
      { name: `siren${i}.weight`, dims: [i === 0 ? 1 : WIDTH, WIDTH] },
      { name: `siren${i}.bias`, dims: [WIDTH] },
    ]).flat(),
    { name: 'last.weight', dims: [WIDTH, 3] },
    { name: 'last.bias', dims: [3] },
  ];
}

/** Numbers that the grids say of a point. */
function latentSize({ levels }: NvpShape): number {
  return FEATURES * (PLANES.length * levels + NEIGHBOURS.length ** 2);
}

/** Starting values: grids almost zero, the modulator's weights as He et al. (2015), the others as SIREN's. */
export function initial({ name, dims }: ParameterSpec, shape: NvpShape, random: () => number): Float32Array {
  const uniform = (bound: number): Float32Array =>
    Float32Array.from({ length: sizeOf(dims) }, () => (random() * 2 - 1) * bound);
  const layer = Number(/\d+/.exec(name)?.[0]);
  if (name.startsWith('modulator')) {
    if (name.endsWith('.bias')) return new Float32Array(sizeOf(dims));
    const deviation = Math.sqrt(2 / (latentSize(shape) + (layer === 0 ? 0 : WIDTH)));
    return Float32Array.from({ length: sizeOf(dims) }, () => normal(random) * deviation);
  }
  if (name.startsWith('siren0')) return uniform(1);
  if (name.startsWith('siren') || name.startsWith('last')) return uniform(Math.sqrt(6 / WIDTH) / HIDDEN_FREQUENCY);
  return uniform(GRID_START);
}

/** Pixels, about in [-1, 1], at every crossing: (F, R * C, 3). */
export function nvpPixels(parameters: Parameters, video: PeerVideo, shape: NvpShape, samples: NvpSamples): Value {
  const latent = latents(parameters, video, shape, samples); // (F, R * C, latent)
  const get = (name: string): Value => parameter(parameters, name);
  const layers = Array.from({ length: LAYERS }, (_, i) => i);
  // One product for the part of all layers that reads the latent.
  const fromLatent = ops.matmul(
    latent,
    ops.concat(
      layers.map((i) => get(`modulator${i}.latent`)),
      1,
    ),
  );
  const parts = ops.split(
    fromLatent,
    2,
    layers.map(() => WIDTH),
  );
  const moments = samples.steps.dims[0] as number;
  let modulation: Value | null = null;
  let hidden = ops.reshape(samples.steps, [moments, 1, 1]);
  for (const i of layers) {
    const read = ops.add(parts[i] as Value, get(`modulator${i}.bias`));
    modulation = ops.leakyRelu(
      modulation === null ? read : ops.add(ops.matmul(modulation, get(`modulator${i}.hidden`)), read),
    );
    const wave = ops.add(ops.matmul(hidden, get(`siren${i}.weight`)), get(`siren${i}.bias`));
    const sine = ops.sin(ops.mul(wave, i === 0 ? FIRST_FREQUENCY : HIDDEN_FREQUENCY));
    hidden = ops.mul(sine, modulation); // (F, R * C, width)
  }
  return ops.add(ops.matmul(hidden, get('last.weight')), get('last.bias'));
}

/** What the grids say at every crossing: (F, R * C, latent). */
function latents(
  parameters: Parameters,
  video: PeerVideo,
  { levels, side }: NvpShape,
  { ts, ys, xs }: NvpSamples,
): Value {
  const [moments, rows, columns] = [ts, ys, xs].map(({ dims }) => dims[0] as number) as [number, number, number];
  const axes = { t: ts, y: ys, x: xs };
  const counts = { t: moments, y: rows, x: columns };
  const planes = PLANES.map((plane) => {
    const [first, second] = [...plane] as ['t' | 'y', 'y' | 'x'];
    const looked = Array.from({ length: levels }, (_, i) => {
      const weights = (axis: Value): Value => linearWeights(ops.mul(axis, levelSide(i) - 1), levelSide(i));
      return ops.matmul(
        ops.matmul(weights(axes[first]), parameter(parameters, `${plane}${i}`)),
        ops.transposeLast(weights(axes[second])),
      );
    });
    const features = ops.transpose(ops.concat(looked, 0), [1, 2, 0]); // (first, second, levels * features)
    const dims = (['t', 'y', 'x'] as const).map((axis) => (plane.includes(axis) ? counts[axis] : 1));
    return ops.expand(ops.reshape(features, [...dims, levels * FEATURES]), [moments, rows, columns, levels * FEATURES]);
  });
  const all = ops.concat([...planes, volume(parameters, video, side, { ts, ys, xs })], 3);
  return ops.reshape(all, [moments, rows * columns, all.dims[3] as number]);
}

/**
 * The three-dimensional grid at the nearest nodes and their neighbours: (F, R, C, 9 * features). Between frames, two
 * slices are blended.
 */
function volume(
  parameters: Parameters,
  { frames }: PeerVideo,
  side: number,
  { ts, ys, xs }: Pick<NvpSamples, 'ts' | 'ys' | 'xs'>,
): Value {
  const grid = ops.reshape(parameter(parameters, VOLUME), [FEATURES, frames, side * side]);
  const [moments, rows, columns] = [ts, ys, xs].map(({ dims }) => dims[0] as number) as [number, number, number];
  const slices = ops.reshape(ops.matmul(linearWeights(ops.mul(ts, frames - 1), frames), grid), [
    FEATURES,
    moments,
    side,
    side,
  ]);
  const around = (axis: Value, count: number): Value => {
    const offsets = ops.constant(axis.graph, float32(Float32Array.from(NEIGHBOURS), [1, NEIGHBOURS.length]));
    const nodes = ops.add(ops.reshape(ops.round(ops.mul(axis, side - 1)), [count, 1]), offsets);
    return linearWeights(ops.reshape(nodes, [count * NEIGHBOURS.length]), side);
  };
  const looked = ops.matmul(ops.matmul(around(ys, rows), slices), ops.transposeLast(around(xs, columns)));
  const apart = ops.reshape(looked, [FEATURES, moments, rows, NEIGHBOURS.length, columns, NEIGHBOURS.length]);
  return ops.reshape(ops.transpose(apart, [1, 2, 4, 0, 3, 5]), [
    moments,
    rows,
    columns,
    FEATURES * NEIGHBOURS.length ** 2,
  ]);
}
