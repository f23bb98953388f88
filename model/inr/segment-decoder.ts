/** The decoder of one segment: its network, checked against the container, built as a graph and handed to a runtime. */
import { CHANNELS, type ContainerNetwork, type LevelImages, type LinrFile } from '../container/index.js';
import { Graph, ops, type Value } from '../graph/index.js';
import { float32, type HostTensor } from '../runtime/tensor.js';
import type { Runtime, Session } from '../runtime/types.js';
import { checkedNetwork, networkPlace, type CheckedNetwork, type TransformNetwork } from './checked-network.js';
import { patchGrid, type InrConfig } from './config.js';
import { LinrDecodeError } from './decode-error.js';
import type { EnlargeFilters } from './enlarge.js';
import { fixedSpecs, inrNetwork, parameterSpecs } from './network.js';
import { MIDDLE, toPixels } from './transform.js';

/** What a frame is drawn from: its latent's aligned numbers (D) and, in a segment that mixes basis images, its free ones (K), else null. */
export interface FrameLatent {
  readonly aligned: Float32Array;
  readonly free: Float32Array | null;
}

export interface SegmentDecoder {
  /** Filters that enlarge this segment's pictures; null in a file without. */
  readonly filters: EnlargeFilters | null;
  /** RGB (height, width, 3). */
  draw(latent: FrameLatent): Promise<Uint8Array>;
  release(): Promise<void>;
}

/**
 * @throws LinrDecodeError `pictures_not_ready` when segment `k` has no network yet, `network_invalid` when its tensors do not fit its
 *   configuration or the container.
 */
export async function openSegment(file: LinrFile, k: number, runtime: Runtime): Promise<SegmentDecoder> {
  const stored = await file.network(k);
  if (stored === null) {
    const { first = 0, frames = 0 } = file.segments[k] ?? {};
    const which = file.segments.some((segment) => segment.network !== null)
      ? `frames ${first} to ${first + frames - 1} are still being encoded`
      : 'this container holds latents only: its pictures are still being encoded';
    throw new LinrDecodeError('pictures_not_ready', which);
  }
  try {
    return await opened(checkedNetwork(stored, networkPlace(file.meta, file.latentDim, k), file.mixing(k)), runtime);
  } catch (error) {
    // Whatever a stranger's network is refused for, by the checks or by the runtime, it is the network's fault.
    const reason = error instanceof Error ? error.message : String(error);
    throw new LinrDecodeError('network_invalid', file.segments.length === 1 ? reason : `segment ${k}: ${reason}`, { cause: error });
  }
}

async function opened(network: CheckedNetwork, runtime: Runtime): Promise<SegmentDecoder> {
  if ('images' in network) return new TransformDecoder(network, await runtime.createSession(transformGraph(network)));
  const { config, filters } = network;
  const session = await runtime.createSession(modulatedGraph(config, network.network));
  return {
    filters,
    draw: async ({ aligned }) => pixelsOf(await session.run({ latent: float32(aligned, [1, config.latentDim]) })),
    release: () => session.release(),
  };
}

const pixelsOf = ({ pixels }: Record<string, HostTensor>): Uint8Array => (pixels as HostTensor).data as Uint8Array;

/** Mixes the basis images as far as they are not zero, and transforms the mixture to pixels. */
class TransformDecoder implements SegmentDecoder {
  readonly filters: EnlargeFilters | null;
  readonly #images: LevelImages;
  /** What one of a frame's free numbers is worth: an image as a whole has the length 1 in it, so that all are stored to the same precision. */
  readonly #units: Float64Array;
  readonly #mixture: Float32Array;
  readonly #dims: readonly number[];
  readonly #session: Session;

  constructor({ config, images, filters }: TransformNetwork, session: Session) {
    this.filters = filters;
    this.#images = images;
    this.#units = imageUnits(images).map((unit) => unit * config.transform.step);
    this.#dims = mixtureDims(images);
    this.#mixture = new Float32Array(this.#dims.reduce((product, dim) => product * dim, 1));
    this.#session = session;
  }

  async draw({ free }: FrameLatent): Promise<Uint8Array> {
    const { starts, places, levels, count } = this.#images;
    const mixture = this.#mixture.fill(0);
    for (let k = 0; k < count; k++) {
      const weight = (free?.[k] ?? 0) * (this.#units[k] as number);
      if (weight === 0) continue;
      const end = starts[k + 1] as number;
      for (let i = starts[k] as number; i < end; i++) mixture[places[i] as number]! += weight * (levels[i] as number);
    }
    return pixelsOf(await this.#session.run({ mixture: float32(mixture, this.#dims) }));
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

/** (K) one over the length of each image of levels: what a free number of 1 stands for. */
export function imageUnits({ count, starts, levels }: LevelImages): Float64Array {
  return Float64Array.from({ length: count }, (_, k) => {
    let squares = 0;
    for (let i = starts[k] as number; i < (starts[k + 1] as number); i++) squares += (levels[i] as number) ** 2;
    return squares === 0 ? 0 : 1 / Math.sqrt(squares);
  });
}

const mixtureDims = ({ rows, columns, patch }: LevelImages): number[] => [rows, patch, columns * patch * CHANNELS];

/** `mixture` (rows of patches, patch, columns * patch * 3) of coefficients -> `pixels` uint8 (height, width, 3). */
function transformGraph({ config, images, color }: TransformNetwork): Uint8Array {
  const graph = new Graph('latent-inr-transform-decoder');
  const { rows, columns, patch } = images;
  const mixture = graph.input('mixture', 'float32', mixtureDims(images));
  const whole = ops.reshape(toPixels(graph, mixture, { patch, columns }, color), [rows * patch, columns * patch, CHANNELS]);
  graph.output('pixels', ops.toBytes(ops.add(cropped(whole, config), MIDDLE)));
  return graph.toOnnx();
}

/** The part of whole patches (rows * patch, columns * patch, 3) that the frame shows. */
function cropped(whole: Value, { width, height }: { readonly width: number; readonly height: number }): Value {
  return ops.slice(ops.slice(whole, 0, 0, height), 1, 0, width);
}

/** latent (1, D) -> pixels uint8 (height, width, 3). */
function modulatedGraph(config: InrConfig, network: ContainerNetwork): Uint8Array {
  const graph = new Graph('latent-inr-decoder');
  const { rows, columns } = patchGrid(config);
  const { patch } = config;
  const tensors = [...fixedSpecs(config), ...parameterSpecs(config)].map(({ name, dims }) => [name, dims, network.tensors.get(name)?.data] as const);
  const parameters = new Map(tensors.map(([name, dims, data]): [string, Value] => [name, graph.initializer(name, float32(data as Float32Array, dims))]));
  const centres = (count: number): Value =>
    ops.constant(graph, float32(Float32Array.from({ length: count }, (_, i) => (i + 0.5) / count), [count]));
  const patches = inrNetwork(config, parameters, {
    latents: graph.input('latent', 'float32', [1, config.latentDim]),
    ys: centres(rows),
    xs: centres(columns),
  }); // (1, rows * columns, p * p * 3)
  const apart = ops.transpose(ops.reshape(patches, [rows, columns, patch, patch, 3]), [0, 2, 1, 3, 4]);
  graph.output('pixels', ops.toBytes(cropped(ops.reshape(apart, [rows * patch, columns * patch, 3]), config)));
  return graph.toOnnx();
}
