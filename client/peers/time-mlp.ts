/**
 * The plainest network of a video: a multilayer perceptron from place and time to colour, with Fourier features of all three
 * coordinates (Tancik et al., NeurIPS 2020). As the base network of Latent-INR it gives a patch of pixels at a time
 * (paper, section 3.3); unlike it, it is told the time as a coordinate, and no latent.
 */
import { ops, type Value } from '../../model/graph/index.js';
import { float32 } from '../../model/runtime/tensor.js';
import { parameter, uniformStart } from './layers.js';
import { withoutEncoder, type Parameters, type Peer, type PeerVideo } from './peer.js';

/** Octaves of the features of each coordinate: x and y down to two patches or so at 320 x 160, t down to some four frames of 130. */
const SPACE_LEVELS = 6;
const TIME_LEVELS = 5;
/** Linear layers. */
const LAYERS = 5;
/** Side of a patch in pixels. */
const PATCH = 4;

/** @param width of the layers between the first and the last. */
export function timeMlp(video: PeerVideo, width: number): Peer {
  const [rows, columns] = [Math.ceil(video.height / PATCH), Math.ceil(video.width / PATCH)];
  const sizes = Array.from({ length: LAYERS }, (_, i) => ({
    name: `layer${i}`,
    inputs: i === 0 ? 2 * (2 * SPACE_LEVELS + TIME_LEVELS) : width,
    outputs: i === LAYERS - 1 ? 3 * PATCH ** 2 : width,
  }));
  const decoderSpecs = sizes.flatMap(({ name, inputs, outputs }) => [{ name: `${name}.weight`, dims: [outputs, inputs] }, { name: `${name}.bias`, dims: [outputs] }]);
  return {
    ...withoutEncoder('time-coordinate MLP'),
    video,
    canvas: { width: columns * PATCH, height: rows * PATCH },
    decoderSpecs,
    codeDims: [2 * TIME_LEVELS],
    initial: (spec, random) => uniformStart(spec, decoderSpecs, random),
    codeAt: (index) => Float32Array.from(fourier(index / video.frames, TIME_LEVELS)),
    decode: (parameters, codes) => patches(pixels(parameters, codes, { rows, columns, width }), rows, columns),
  };
}

interface MlpShape {
  readonly rows: number;
  readonly columns: number;
  readonly width: number;
}

/** codes (F, 2 l) -> (F, rows * columns, 3 p p) in [0, 1]. */
function pixels(parameters: Parameters, codes: Value, { rows, columns, width }: MlpShape): Value {
  const frames = codes.dims[0] as number;
  const places = rows * columns;
  const linear = (x: Value, name: string): Value => ops.add(ops.matmul(x, ops.transposeLast(parameter(parameters, `${name}.weight`))), parameter(parameters, `${name}.bias`));
  // The first layer of (x, y, t) as a sum, so that places are not repeated for each frame.
  const [ofPlace, ofTime] = ops.split(ops.transposeLast(parameter(parameters, 'layer0.weight')), 0, [4 * SPACE_LEVELS, 2 * TIME_LEVELS]) as [Value, Value];
  const place = ops.matmul(ops.constant(codes.graph, float32(placeFeatures(rows, columns), [places, 4 * SPACE_LEVELS])), ofPlace); // (S, width)
  const time = ops.reshape(ops.matmul(codes, ofTime), [frames, 1, width]);
  let x = ops.gelu(ops.add(ops.add(time, ops.reshape(place, [1, places, width])), parameter(parameters, 'layer0.bias'))); // (F, S, width)
  for (let i = 1; i < LAYERS - 1; i++) x = ops.gelu(linear(x, `layer${i}`));
  return ops.sigmoid(linear(x, `layer${LAYERS - 1}`));
}

/** (F, rows * columns, 3 p p) -> (F, 3, rows * p, columns * p) */
function patches(x: Value, rows: number, columns: number): Value {
  const frames = x.dims[0] as number;
  const apart = ops.reshape(x, [frames, rows, columns, PATCH, PATCH, 3]);
  return ops.reshape(ops.transpose(apart, [0, 5, 1, 3, 2, 4]), [frames, 3, rows * PATCH, columns * PATCH]);
}

/** (rows * columns, 4 l): the features of each patch's centre, y then x. */
function placeFeatures(rows: number, columns: number): Float32Array {
  const features: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) features.push(...fourier((row + 0.5) / rows, SPACE_LEVELS), ...fourier((column + 0.5) / columns, SPACE_LEVELS));
  }
  return Float32Array.from(features);
}

/** sin and cos of 2^i pi u for i = 0 to l - 1. */
function fourier(u: number, levels: number): number[] {
  return Array.from({ length: levels }, (_, i) => 2 ** i * Math.PI * u).flatMap((angle) => [Math.sin(angle), Math.cos(angle)]);
}
