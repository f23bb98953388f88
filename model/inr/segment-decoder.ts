/** The decoder of one segment: its network, checked against the container, built as a graph and handed to a runtime. */
import type { ContainerNetwork, LinrFile } from '../container/index.js';
import { Graph, ops, type Value } from '../graph/index.js';
import { float32 } from '../runtime/tensor.js';
import type { Runtime, Session } from '../runtime/types.js';
import { checkedNetwork, networkPlace } from './checked-network.js';
import { patchGrid, type InrConfig } from './config.js';
import { LinrDecodeError } from './decode-error.js';
import type { EnlargeFilters } from './enlarge.js';
import { fixedSpecs, inrNetwork, parameterSpecs } from './network.js';

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
    const { config, network, filters } = checkedNetwork(stored, networkPlace(file.meta, file.latentDim, k));
    return { filters, session: await runtime.createSession(decoderGraph(config, network)) };
  } catch (error) {
    // Whatever a stranger's network is refused for, by the checks or by the runtime, it is the network's fault.
    const reason = error instanceof Error ? error.message : String(error);
    throw new LinrDecodeError('network_invalid', file.segments.length === 1 ? reason : `segment ${k}: ${reason}`, { cause: error });
  }
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
