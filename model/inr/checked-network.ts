/** Networks from files, held to what drawing a frame needs and to the container they stand in. */
import {
  CHANNELS,  basisImages, ContainerError, inspectContainer, imageSize, type Container, type ContainerMeta, type ContainerNetwork, type ContainerReport, type ContainerTensor, type LevelImages, type Mixing,
} from '../container/index.js';
import { sizeOf } from '../runtime/tensor.js';
import { featureGrids, gridSize, hasTransform, parseSegmentConfig, patchGrid, type InrConfig, type TransformConfig } from './config.js';
import { enlargeFilters, type EnlargeFilters } from './enlarge.js';
import { basisName, fixedSpecs, parameterSpecs } from './network.js';
import { COLOR } from './transform.js';
import type { ParameterSpec } from '../graph/index.js';

/**
 * Numbers of the largest tensor that decoding one frame makes. A file of a few bytes can name a frame size and a patch size that ask for
 * terabytes; a 4K frame in patches of 8 pixels, 256 wide, needs a quarter of this. As floats 512 MiB.
 */
export const MAX_ACTIVATION_ELEMENTS = 128 * 1024 * 1024;

/** What a container says of one of its segments, and its network must say too. */
export type NetworkPlace = Pick<InrConfig, 'width' | 'height' | 'frames' | 'latentDim'>;

export type CheckedNetwork = ModulatedNetwork | TransformNetwork;

/** A network of modulated layers. */
export interface ModulatedNetwork {
  readonly config: InrConfig;
  readonly network: ContainerNetwork;
  /** Filters that enlarge its pictures; null in a file without. */
  readonly filters: EnlargeFilters | null;
}

/** A network of basis images and their transform. */
export interface TransformNetwork {
  readonly config: TransformConfig;
  readonly images: LevelImages;
  /** (3, 3) the colors of the components, a column each. */
  readonly color: Float32Array;
  /** Filters that enlarge its pictures; null in a file without. */
  readonly filters: EnlargeFilters | null;
}

/** The place of segment `k`, which must exist. */
export function networkPlace({ width, height, segments }: ContainerMeta, latentDim: number, k: number): NetworkPlace {
  return { width, height, frames: segments[k] as number, latentDim };
}

/**
 * @param mixing the free numbers of the segment's latents, null where it has none
 * @throws RangeError that says what does not fit; ContainerError for basis images that cannot be read
 */
export function checkedNetwork(stored: ContainerNetwork, place: NetworkPlace, mixing: Mixing | null): CheckedNetwork {
  const config = parseSegmentConfig(stored.config);
  for (const field of ['width', 'height', 'frames', 'latentDim'] as const) {
    if (config[field] !== place[field]) throw new RangeError(`the network was made for ${field} ${config[field]}, the container says ${place[field]}`);
  }
  if (hasTransform(config)) return checkedTransform(stored, config, mixing);
  if (mixing !== null || stored.images !== undefined) throw new RangeError('the network has no transform, but basis images or free numbers that mix them');
  checkActivations(config);
  const network = asWrittenNow(config, stored);
  checkTensors(network, [...fixedSpecs(config), ...parameterSpecs(config)]);
  return { config, network, filters: enlargeFilters(network.tensors) };
}

/**
 * As `inspectContainer`, and holds every network to its place: of a file that passes, every frame that is there can be drawn.
 * @throws ContainerError, and nothing else
 */
export function inspectLinr(bytes: Uint8Array): ContainerReport & { readonly container: Container } {
  return inspectContainer(bytes, (network, { meta, latentDim, mixing }, k) => {
    try {
      checkedNetwork(network, networkPlace(meta, latentDim, k), mixing?.[k] ?? null);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new ContainerError('malformed', `The container's pictures cannot be drawn: ${meta.segments.length === 1 ? '' : `segment ${k}: `}${error.message}.`);
    }
  });
}

/** Files that are older than basis grids of several sizes call their only one `basis`, of shape (count, channels * rows * columns). */
function asWrittenNow({ basis: { grids: [grid] } }: InrConfig, network: ContainerNetwork): ContainerNetwork {
  const basis = network.tensors.get('basis');
  if (basis === undefined || grid === undefined) return network;
  const [count = 0, numbers] = basis.dims;
  const { channels, rows, columns } = grid;
  const dims = basis.dims.length === 2 && numbers === gridSize(grid) ? [count, channels, rows, columns] : basis.dims;
  return { ...network, tensors: new Map([[basisName(0), { ...basis, dims }], ...network.tensors]) };
}

function checkedTransform(network: ContainerNetwork, config: TransformConfig, mixing: Mixing | null): TransformNetwork {
  const { count, patch } = config.transform;
  const { rows, columns } = patchGrid({ ...config, patch });
  if (network.images === undefined) throw new RangeError('the network has a transform, but no basis images');
  const { shape } = network.images;
  for (const [field, wanted] of Object.entries({ count, rows, columns, patch })) {
    const given = shape[field as keyof typeof shape];
    if (given !== wanted) throw new RangeError(`the network's basis images have ${field} ${given}, its configuration asks for ${wanted}`);
  }
  if (mixing?.count !== count) throw new RangeError(`the network has ${count} basis images, the latents ${mixing?.count ?? 0} free numbers a frame`);
  checkElements(imageSize(shape));
  checkTensors(network, [{ name: COLOR, dims: [CHANNELS, CHANNELS] }]);
  return { config, images: basisImages(network.images), color: (network.tensors.get(COLOR) as ContainerTensor).data, filters: enlargeFilters(network.tensors) };
}

function checkTensors(network: ContainerNetwork, specs: readonly ParameterSpec[]): void {
  for (const { name, dims } of specs) {
    const tensor = network.tensors.get(name);
    if (tensor === undefined) throw new RangeError(`the container's network lacks the tensor "${name}"`);
    if (tensor.dims.length !== dims.length || tensor.dims.some((dim, i) => dim !== dims[i]) || tensor.data.length !== sizeOf(dims)) {
      throw new RangeError(`tensor "${name}" has shape [${tensor.dims.join(', ')}], the network needs [${dims.join(', ')}]`);
    }
  }
}

/** One row of activations a patch, as wide as the widest layer. */
function checkActivations(config: InrConfig): void {
  const { rows, columns } = patchGrid(config);
  const features = featureGrids(config).reduce((sum, { channels }) => sum + channels, 0);
  const widest = Math.max(config.hidden, features, config.patch ** 2 * 3);
  checkElements(rows * columns * widest);
}

function checkElements(elements: number): void {
  if (elements > MAX_ACTIVATION_ELEMENTS) {
    throw new RangeError(`drawing a frame would take ${elements} numbers at once; this decoder accepts at most ${MAX_ACTIVATION_ELEMENTS}`);
  }
}
