/** The decoder of one segment: its network checked against the container, built as a graph and handed to a runtime. */
import type { ContainerNetwork, LinrFile } from '../container/index.js';
import { Graph, ops, type Value } from '../graph/index.js';
import { float32, sizeOf } from '../runtime/tensor.js';
import type { Runtime, Session } from '../runtime/types.js';
import { featureGrids, gridSize, parseInrConfig, patchGrid, type InrConfig } from './config.js';
import { LinrDecodeError } from './decode-error.js';
import { enlargeFilters, type EnlargeFilters } from './enlarge.js';
import { basisName, fixedSpecs, inrNetwork, parameterSpecs } from './network.js';

/**
 * Numbers of the largest tensor that decoding one frame makes. A file of a few bytes can name a frame size and a patch size that ask for
 * terabytes; a 4K frame in patches of 8 pixels, 256 wide, needs a quarter of this. As floats 512 MiB.
 */
export const MAX_ACTIVATION_ELEMENTS = 128 * 1024 * 1024;

export interface SegmentDecoder {
  readonly session: Session;
  /** Filters that enlarge this segment's pictures; null in a file without. */
  readonly filters: EnlargeFilters | null;
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
    const config = parseInrConfig(stored.config);
    const network = asWrittenNow(config, stored);
    checkActivations(config);
    checkTensors(file, k, network, config);
    return { filters: enlargeFilters(network.tensors), session: await runtime.createSession(decoderGraph(config, network)) };
  } catch (error) {
    // Whatever a stranger's network is refused for, by the checks or by the runtime, it is the network's fault.
    const reason = error instanceof Error ? error.message : String(error);
    throw new LinrDecodeError('network_invalid', file.segments.length === 1 ? reason : `segment ${k}: ${reason}`, { cause: error });
  }
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

/** latent (1, D) -> pixels uint8 (height, width, 3). */
function decoderGraph(config: InrConfig, network: ContainerNetwork): Uint8Array {
  const graph = new Graph('latent-inr-decoder');
  const { rows, columns } = patchGrid(config);
  const { patch, width, height } = config;
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
  const whole = ops.reshape(apart, [rows * patch, columns * patch, 3]);
  const frame = ops.slice(ops.slice(whole, 0, 0, height), 1, 0, width);
  graph.output('pixels', ops.toBytes(frame));
  return graph.toOnnx();
}

function checkTensors({ meta, latentDim, segments }: LinrFile, k: number, network: ContainerNetwork, config: InrConfig): void {
  const facts = [['width', meta.width], ['height', meta.height], ['frames', segments[k]?.frames], ['latentDim', latentDim]] as const;
  for (const [field, value] of facts) {
    if (config[field] !== value) throw new RangeError(`the network was made for ${field} ${config[field]}, the container says ${value}`);
  }
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
