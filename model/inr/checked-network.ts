/** Networks from files, held to what drawing a frame needs and to the container they stand in. */
import { ContainerError, inspectContainer, type Container, type ContainerMeta, type ContainerNetwork, type ContainerReport } from '../container/index.js';
import { sizeOf } from '../runtime/tensor.js';
import { featureGrids, gridSize, parseInrConfig, patchGrid, type InrConfig } from './config.js';
import { enlargeFilters, type EnlargeFilters } from './enlarge.js';
import { basisName, fixedSpecs, parameterSpecs } from './network.js';

/**
 * Numbers of the largest tensor that decoding one frame makes. A file of a few bytes can name a frame size and a patch size that ask for
 * terabytes; a 4K frame in patches of 8 pixels, 256 wide, needs a quarter of this. As floats 512 MiB.
 */
export const MAX_ACTIVATION_ELEMENTS = 128 * 1024 * 1024;

/** What a container says of one of its segments, and its network must say too. */
export type NetworkPlace = Pick<InrConfig, 'width' | 'height' | 'frames' | 'latentDim'>;

export interface CheckedNetwork {
  readonly config: InrConfig;
  readonly network: ContainerNetwork;
  /** Filters that enlarge its pictures; null in a file without. */
  readonly filters: EnlargeFilters | null;
}

/** The place of segment `k`, which must exist. */
export function networkPlace({ width, height, segments }: ContainerMeta, latentDim: number, k: number): NetworkPlace {
  return { width, height, frames: segments[k] as number, latentDim };
}

/** @throws RangeError that says what does not fit */
export function checkedNetwork(stored: ContainerNetwork, place: NetworkPlace): CheckedNetwork {
  const config = parseInrConfig(stored.config);
  for (const field of ['width', 'height', 'frames', 'latentDim'] as const) {
    if (config[field] !== place[field]) throw new RangeError(`the network was made for ${field} ${config[field]}, the container says ${place[field]}`);
  }
  checkActivations(config);
  const network = asWrittenNow(config, stored);
  checkTensors(network, config);
  return { config, network, filters: enlargeFilters(network.tensors) };
}

/**
 * As `inspectContainer`, and holds every network to its place: of a file that passes, every frame that is there can be drawn.
 * @throws ContainerError, and nothing else
 */
export function inspectLinr(bytes: Uint8Array): ContainerReport & { readonly container: Container } {
  return inspectContainer(bytes, (network, { meta, latentDim }, k) => {
    try {
      checkedNetwork(network, networkPlace(meta, latentDim, k));
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

function checkTensors(network: ContainerNetwork, config: InrConfig): void {
  for (const { name, dims } of [...fixedSpecs(config), ...parameterSpecs(config)]) {
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
  const elements = rows * columns * widest;
  if (elements > MAX_ACTIVATION_ELEMENTS) {
    throw new RangeError(`drawing a frame would take ${elements} numbers at once; this decoder accepts at most ${MAX_ACTIVATION_ELEMENTS}`);
  }
}
