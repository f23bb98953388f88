/**
 * Enlarged pictures: each pixel of a decoded frame becomes FACTOR x FACTOR pixels, linear in the pixels around it. The filters
 * are fitted to the video itself, by least squares between its decoded frames and the same frames at their full size, so they
 * know how this video's detail was blurred and coded. No other linear filter of this reach comes closer on the fitted pixels.
 */
import { Graph, ops, type ParameterSpec } from '../graph/index.js';
import { seededRandom } from '../runtime/random.js';
import { float32 } from '../runtime/tensor.js';
import type { Picture } from './motion-field.js';

/** Pixels that one pixel becomes, along each side. */
export const FACTOR = 4;
/** Side of the square of pixels a filter sees, odd. */
export const REACH = 7;
const TAPS = REACH * REACH;
const PHASES = FACTOR * FACTOR;

/** The filters in a container's network: row-major over the FACTOR x FACTOR pixels, then over the REACH x REACH pixels seen. */
export const ENLARGE_WEIGHT: ParameterSpec = { name: 'enlarge.weight', dims: [PHASES, TAPS] };
/** What each of the FACTOR x FACTOR pixels has added, in [0, 1] units. */
export const ENLARGE_BIAS: ParameterSpec = { name: 'enlarge.bias', dims: [PHASES] };

export interface EnlargeFilters {
  /** (PHASES, TAPS) */
  readonly weight: Float32Array;
  /** (PHASES) */
  readonly bias: Float32Array;
}

/** Pixels looked at in each picture: enough for 50 unknowns many times over, and half a second for eight pictures. */
const SAMPLES = 4000;
/** Pulls the filters towards zero, by as much as this many samples of deviation 1 / 255 in every direction would. */
const RIDGE = 64 / 255 ** 2;

/** What single pixels of a frame ought to become: kept instead of the frame at its full size. */
export interface EnlargeSamples {
  /** (SAMPLES) which number of the decoded picture (height, width, 3). */
  readonly places: Uint32Array;
  /** (SAMPLES, PHASES) */
  readonly wanted: Uint8Array;
}

/**
 * Samples a frame that is FACTOR times the encoded `width` and `height`.
 * @throws RangeError when it is not.
 */
export function sampleEnlarged(truth: Picture, width: number, height: number, seed: number): EnlargeSamples {
  if (truth.width !== width * FACTOR || truth.height !== height * FACTOR) {
    throw new RangeError(`the truth of a ${width} x ${height} picture must be ${FACTOR} times as large, it is ${truth.width} x ${truth.height}`);
  }
  const random = seededRandom(`enlarge/${seed}`);
  const places = new Uint32Array(SAMPLES);
  const wanted = new Uint8Array(SAMPLES * PHASES);
  for (let sample = 0; sample < SAMPLES; sample++) {
    const [x, y, channel] = [Math.floor(random() * width), Math.floor(random() * height), sample % 3];
    places[sample] = (y * width + x) * 3 + channel;
    for (let phase = 0; phase < PHASES; phase++) {
      const [row, column] = [y * FACTOR + Math.floor(phase / FACTOR), x * FACTOR + (phase % FACTOR)];
      wanted[sample * PHASES + phase] = truth.data[(row * truth.width + column) * 3 + channel] as number;
    }
  }
  return { places, wanted };
}

/** Gathers decoded pictures with their samples, and solves for the filters. */
export class EnlargeFit {
  private readonly unknowns = TAPS + 1;
  private readonly squares = new Float64Array(this.unknowns * this.unknowns);
  private readonly products = new Float64Array(this.unknowns * PHASES);

  add(decoded: Picture, { places, wanted }: EnlargeSamples): void {
    const seen = new Float64Array(this.unknowns);
    const goal = new Float64Array(PHASES);
    seen[TAPS] = 1;
    for (const [sample, place] of places.entries()) {
      const pixel = Math.floor(place / 3);
      look(decoded, pixel % decoded.width, Math.floor(pixel / decoded.width), place % 3, seen);
      for (let phase = 0; phase < PHASES; phase++) goal[phase] = (wanted[sample * PHASES + phase] as number) / 255;
      this.accumulate(seen, goal);
    }
  }

  private accumulate(seen: Float64Array, wanted: Float64Array): void {
    const { unknowns, squares, products } = this;
    for (let i = 0; i < unknowns; i++) {
      const value = seen[i] as number;
      for (let j = 0; j <= i; j++) squares[i * unknowns + j]! += value * (seen[j] as number);
      for (let phase = 0; phase < PHASES; phase++) products[i * PHASES + phase]! += value * (wanted[phase] as number);
    }
  }

  /** The filters with the least squared error over the samples; without any they give black. */
  solve(): EnlargeFilters {
    const { unknowns } = this;
    const root = this.squares.slice();
    for (let i = 0; i < unknowns; i++) root[i * unknowns + i]! += RIDGE;
    cholesky(root, unknowns);
    const solution = this.products.slice();
    substitute(root, unknowns, solution, PHASES);
    const weight = new Float32Array(PHASES * TAPS);
    for (let tap = 0; tap < TAPS; tap++) for (let phase = 0; phase < PHASES; phase++) weight[phase * TAPS + tap] = solution[tap * PHASES + phase] as number;
    return { weight, bias: Float32Array.from(solution.subarray(TAPS * PHASES)) };
  }
}

/** Writes the REACH x REACH pixels around (x, y) of one channel, in [0, 1]; beyond the edge the outermost pixel goes on. */
function look({ width, height, data }: Picture, x: number, y: number, channel: number, into: Float64Array): void {
  const half = (REACH - 1) / 2;
  let at = 0;
  for (let dy = -half; dy <= half; dy++) {
    const row = Math.min(height - 1, Math.max(0, y + dy)) * width;
    for (let dx = -half; dx <= half; dx++) into[at++] = (data[(row + Math.min(width - 1, Math.max(0, x + dx))) * 3 + channel] as number) / 255;
  }
}

/** The lower triangle L of a = L L^T, in place of a's. */
function cholesky(a: Float64Array, n: number): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j] as number;
      for (let k = 0; k < j; k++) sum -= (a[i * n + k] as number) * (a[j * n + k] as number);
      a[i * n + j] = i === j ? Math.sqrt(sum) : sum / (a[j * n + j] as number);
    }
  }
}

/** Solves L L^T x = b for the columns of b (n, columns), in place. */
function substitute(root: Float64Array, n: number, b: Float64Array, columns: number): void {
  const eliminate = (i: number, k: number, factor: number): void => {
    for (let column = 0; column < columns; column++) b[i * columns + column]! -= factor * (b[k * columns + column] as number);
  };
  const scale = (i: number): void => {
    for (let column = 0; column < columns; column++) b[i * columns + column]! /= root[i * n + i] as number;
  };
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) eliminate(i, k, root[i * n + k] as number);
    scale(i);
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) eliminate(i, k, root[k * n + i] as number);
    scale(i);
  }
}

/** `picture` uint8 (height, width, 3) -> `pixels` uint8 (FACTOR height, FACTOR width, 3). */
export function enlargeGraph(width: number, height: number, filters: EnlargeFilters): Uint8Array {
  const graph = new Graph('enlarge');
  const picture = graph.input('picture', 'uint8', [height, width, 3]);
  const planes = ops.reshape(ops.transpose(ops.cast(picture, 'float32'), [2, 0, 1]), [3, 1, height, width]);
  const weight = graph.initializer(ENLARGE_WEIGHT.name, float32(filters.weight, [PHASES, 1, REACH, REACH]));
  // In units of a byte, and half of one up, so that cutting off the fraction rounds.
  const bias = graph.initializer(ENLARGE_BIAS.name, float32(filters.bias.map((value) => value * 255 + 0.5), [PHASES]));
  const phases = ops.conv2d(ops.padEdges(planes, (REACH - 1) / 2), weight, bias); // (3, PHASES, height, width)
  const bytes = ops.cast(ops.clip(phases, 0, 255.5), 'uint8');
  const planar = ops.depthToSpace(bytes, FACTOR); // (3, 1, FACTOR height, FACTOR width)
  const pixels = height * width * PHASES;
  graph.output('pixels', ops.reshape(ops.transpose(ops.reshape(planar, [3, pixels]), [1, 0]), [height * FACTOR, width * FACTOR, 3]));
  return graph.toOnnx();
}

/** The filters as a container's tensors. */
export function enlargeTensors({ weight, bias }: EnlargeFilters): [string, { dims: readonly number[]; data: Float32Array }][] {
  return [[ENLARGE_WEIGHT.name, { dims: ENLARGE_WEIGHT.dims, data: weight }], [ENLARGE_BIAS.name, { dims: ENLARGE_BIAS.dims, data: bias }]];
}

/** The filters among a network's tensors, or null where it has none. @throws RangeError where their shape is another. */
export function enlargeFilters(tensors: ReadonlyMap<string, { readonly dims: readonly number[]; readonly data: Float32Array }>): EnlargeFilters | null {
  if (!tensors.has(ENLARGE_WEIGHT.name)) return null;
  const [weight, bias] = [ENLARGE_WEIGHT, ENLARGE_BIAS].map(({ name, dims }) => {
    const tensor = tensors.get(name);
    if (tensor === undefined || tensor.dims.join() !== dims.join()) {
      throw new RangeError(`tensor "${name}" has shape [${tensor?.dims.join(', ') ?? ''}], enlarging needs [${dims.join(', ')}]`);
    }
    return tensor.data;
  }) as [Float32Array, Float32Array];
  return { weight, bias };
}

