/**
 * Trains NIRVANA's groups one after another, as published: each on all of its patches in every step, from the network
 * that the group before it ended with. Whole numbers are rounded in the forward pass and moved as if they were not, and
 * cost what a learned distribution says their bits are.
 */
import { Graph, ops, ParameterLayout, type ParameterSpec, type Value } from '../../model/graph/index.js';
import { seededRandom } from '../../model/runtime/random.js';
import { float32, type HostTensor } from '../../model/runtime/tensor.js';
import type { Runtime } from '../../model/runtime/types.js';
import { onCanvas } from './canvas.js';
import { stepFor, type PeerTrainOptions } from './codec.js';
import {
  nirvanaPixels,
  nirvanaSpecs,
  nirvanaStart,
  patchCentres,
  patchGrid,
  STEM_LAYERS,
  wholeBound,
  type NirvanaShape,
  type NirvanaSpecs,
} from './nirvana.js';
import { Optimizer, type Forward } from './optimizer.js';
import { parameter } from './layers.js';
import type { PeerVideo } from './peer.js';

/**
 * Adam's rate for biases and convolutions: six times the published one, for a comparison's minutes are a few hundred
 * steps a group and not 2,000. On three frames of Big Buck Bunny at 160 x 80, 4 s: 28.6 dB, with three times 27.3, as
 * published 24.7.
 */
const LEARNING_RATE = 3e-3;
/** How many times it the other tensors have, as published. */
const SCALE_RATE = 10;
const WHOLE_RATE = 100;
const PRIOR_RATE = 0.2;
/** What a bit a whole number costs, as mean squared error. */
const BIT_PRICE = 1e-3;
/** A probability below this counts as this. */
const LEAST_PROBABILITY = 1e-9;
const SEED = 1;

/** What is kept of a trained group. */
export interface NirvanaGroup {
  /** Rounded, by layer. */
  readonly whole: readonly Float32Array[];
  /** What a layer's whole numbers are multiplied by. */
  readonly scales: readonly number[];
  /** Biases and convolutions, one after another in the order of their specs. */
  readonly rest: Float32Array;
}

/** The distribution of a layer's whole numbers, logistic: the logarithm of its inverse width, and its middle. */
const priorSpecs: readonly ParameterSpec[] = STEM_LAYERS.map((i) => ({ name: `prior${i}`, dims: [2] }));

export async function trainNirvana(
  runtime: Runtime,
  video: PeerVideo,
  shape: NirvanaShape,
  frames: readonly Uint8Array[],
  seconds: number,
  options: PeerTrainOptions = {},
): Promise<{ groups: NirvanaGroup[]; steps: number }> {
  const specs = nirvanaSpecs(shape);
  const layout = new ParameterLayout([...specs.whole, ...specs.scales, ...specs.rest, ...priorSpecs]);
  const random = seededRandom(SEED);
  const optimizer = await Optimizer.create(runtime, {
    name: 'NIRVANA',
    layout,
    rateOf: (name) =>
      name.endsWith('.whole')
        ? WHOLE_RATE
        : name.endsWith('.scale')
          ? SCALE_RATE
          : name.startsWith('prior')
            ? PRIOR_RATE
            : 1,
    initial: (spec) =>
      spec.name.startsWith('prior') ? priorStart(spec.name, specs.whole) : nirvanaStart(spec, specs, random),
    forward: (graph, parameters) => forward(graph, video, shape, layout, parameters),
  });
  try {
    const count = Math.ceil(video.frames / shape.group);
    const groups: NirvanaGroup[] = [];
    let steps = 0;
    for (let group = 0; group < count; group++) {
      optimizer.restart();
      const best = await trainGroup(optimizer, groupPatches(video, shape, frames, group), seconds / count, {
        ...options,
        onProgress: ({ seconds: done, psnr_db }) =>
          options.onProgress?.({ seconds: (group * seconds) / count + done, psnr_db }),
      });
      steps += best.steps;
      optimizer.parameters.set(best.parameters);
      groups.push(keep(layout, specs, best.parameters));
    }
    return { groups, steps };
  } finally {
    await optimizer.release();
  }
}

/** @returns the parameters that had the least error of the steps */
async function trainGroup(
  optimizer: Optimizer,
  patches: HostTensor,
  seconds: number,
  options: PeerTrainOptions,
): Promise<{ parameters: Float32Array; steps: number }> {
  const before = optimizer.parameters.slice();
  const best = optimizer.parameters.slice();
  let least = Infinity;
  const steps = await stepFor(
    seconds,
    async () => {
      before.set(optimizer.parameters);
      const mse = await optimizer.step({ patches }, LEARNING_RATE);
      if (mse < least) {
        least = mse;
        best.set(before);
      }
      return mse;
    },
    options,
  );
  return { parameters: best, steps };
}

/** A group's network as it is stored, from its trained numbers. */
function keep(layout: ParameterLayout, specs: NirvanaSpecs, parameters: Float32Array): NirvanaGroup {
  const view = ({ name }: ParameterSpec): Float32Array => layout.view(parameters, name);
  const largest = specs.whole.map((spec) => view(spec).reduce((most, value) => Math.max(most, Math.abs(value)), 0));
  return {
    whole: specs.whole.map((spec) => view(spec).map(roundHalfToEven)),
    scales: specs.scales.map((spec, i) => (view(spec)[0] as number) / (largest[i] as number)),
    rest: Float32Array.from(specs.rest.flatMap((spec) => [...view(spec)])),
  };
}

/** As ONNX's Round. */
function roundHalfToEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** Inputs: `patches` uint8 (P, group * 3, patch, patch). */
function forward(
  graph: Graph,
  video: PeerVideo,
  shape: NirvanaShape,
  layout: ParameterLayout,
  parameters: Value,
): Forward {
  const grid = patchGrid(video, shape);
  const count = grid.rows * grid.columns;
  const wholes = nirvanaSpecs(shape).whole;
  const wholeCount = new ParameterLayout(wholes).size;
  const [unrounded, others] = ops.split(parameters, 0, [wholeCount, layout.size - wholeCount]) as [Value, Value];
  const used = ops.concat([ops.round(unrounded), others], 0);
  const tensors = layout.unflatten(used);
  // The largest is taken of the unrounded numbers, so that no gradient goes through it.
  const largest = new ParameterLayout(wholes).unflatten(ops.abs(unrounded));
  const weights = wholes.map(({ name }, i) => {
    const scale = ops.div(parameter(tensors, `stem${i}.scale`), ops.reduceMax(parameter(largest, name), null, false));
    return ops.mul(parameter(tensors, name), scale);
  });
  const centres = ops.constant(graph, float32(patchCentres(grid), [count, 2]));
  const pixels = nirvanaPixels(weights, tensors, shape, centres);
  const truth = ops.mul(
    ops.cast(graph.input('patches', 'uint8', [count, shape.group * 3, shape.patch, shape.patch]), 'float32'),
    1 / 255,
  );
  const mse = ops.reduceMean(ops.square(ops.sub(pixels, truth)), null, false);
  const bits = wholes
    .map(({ name }, i) => bitsOf(parameter(tensors, name), parameter(tensors, `prior${i}`)))
    .reduce((sum, layer) => ops.add(sum, layer));
  return { loss: ops.add(mse, ops.mul(bits, BIT_PRICE / wholeCount)), mse, by: used };
}

/** () bits that a logistic distribution gives the whole numbers. */
function bitsOf(whole: Value, prior: Value): Value {
  const [logInverse, middle] = ops.split(prior, 0, [1, 1]) as [Value, Value];
  const below = (offset: number): Value =>
    ops.sigmoid(ops.mul(ops.sub(ops.add(whole, offset), middle), ops.exp(logInverse)));
  const probability = ops.add(ops.sub(below(0.5), below(-0.5)), LEAST_PROBABILITY);
  return ops.mul(ops.reduceSum(ops.log(probability), null, false), -1 / Math.LN2);
}

/** A logistic distribution of the deviation that the layer's uniform start has. */
function priorStart(name: string, wholes: readonly ParameterSpec[]): Float32Array {
  const whole = wholes[Number(name.slice('prior'.length))] as ParameterSpec;
  return Float32Array.of(Math.log(Math.PI / wholeBound(whole.name)), 0);
}

/**
 * The patches of a group's frames (P, group * 3, patch, patch): the video's last frame stands in for frames after it.
 */
function groupPatches(video: PeerVideo, shape: NirvanaShape, frames: readonly Uint8Array[], group: number): HostTensor {
  const { patch, group: size } = shape;
  const { rows, columns } = patchGrid(video, shape);
  const canvas = { width: columns * patch, height: rows * patch };
  const own = Array.from(
    { length: size },
    (_, i) => frames[Math.min(group * size + i, frames.length - 1)] as Uint8Array,
  );
  const pixels = onCanvas(own, video, canvas);
  const data = new Uint8Array(pixels.length);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      for (let plane = 0; plane < size * 3; plane++) {
        const [frame, channel] = [Math.floor(plane / 3), plane % 3];
        for (let y = 0; y < patch; y++) {
          let from = ((frame * canvas.height + row * patch + y) * canvas.width + column * patch) * 3 + channel;
          for (let x = 0; x < patch; x++, from += 3) data[at++] = pixels[from] as number;
        }
      }
    }
  }
  return { dtype: 'uint8', dims: [rows * columns, size * 3, patch, patch], data };
}
