/** Frames out of a container, in Node and in the browser: the network of network.ts with the file's own weights. */
import { Graph, ops, type Value } from '../graph/index.js';
import { resize } from '../frames/resize.js';
import type { Frame } from '../frames/types.js';
import type { Container, ContainerNetwork } from '../container/index.js';
import { float32, sizeOf, type HostTensor } from '../runtime/tensor.js';
import type { Runtime, Session } from '../runtime/types.js';
import { parseInrConfig, patchGrid, type InrConfig } from './config.js';
import { fixedSpecs, inrNetwork, parameterSpecs } from './network.js';

/** Largest width a frame is enlarged to, as a multiple of the encoded one: beyond it there is nothing more to see. */
export const MAX_ENLARGEMENT = 4;

export class LinrDecoder {
  private constructor(
    private readonly session: Session,
    readonly container: Container,
    readonly config: InrConfig,
  ) {}

  /**
   * Builds the decoder of one container.
   *
   * @throws RangeError naming what is wrong when the container has no network yet or its tensors do not fit its configuration.
   */
  static async open(container: Container, runtime: Runtime): Promise<LinrDecoder> {
    if (container.network === null) throw new RangeError('this container holds latents only: its pictures are still being encoded');
    const config = parseInrConfig(container.network.config);
    checkTensors(container, container.network, config);
    return new LinrDecoder(await runtime.createSession(decoderGraph(config, container.network)), container, config);
  }

  /**
   * One frame. `width` in pixels (default: the encoded width; at most 4 times that); the height keeps the aspect ratio.
   *
   * @throws RangeError naming the argument that is out of range.
   */
  async frame(index: number, width = this.config.width): Promise<Frame> {
    const { config, container } = this;
    if (!Number.isInteger(index) || index < 0 || index >= config.frames) {
      throw new RangeError(`frame ${index} does not exist: this video has frames 0 to ${config.frames - 1}`);
    }
    const limit = config.width * MAX_ENLARGEMENT;
    if (!Number.isInteger(width) || width < 1 || width > limit) throw new RangeError(`width must be a whole number of pixels from 1 to ${limit}, got ${width}`);
    const latent = container.latents.subarray(index * config.latentDim, (index + 1) * config.latentDim);
    const { pixels } = await this.session.run({ latent: float32(latent.slice(), [1, config.latentDim]) });
    const native = { width: config.width, height: config.height, data: (pixels as HostTensor).data as Uint8Array };
    const time_s = container.meta.times_s[index] as number;
    if (width === config.width) return { ...native, time_s };
    const height = Math.max(1, Math.round((config.height * width) / config.width));
    return { width, height, time_s, data: resize(native, width, height) };
  }

  /** Frames in the order asked for. Options as for `frame`. */
  async *frames(indices: Iterable<number>, width?: number): AsyncGenerator<Frame, void, void> {
    for (const index of indices) yield await this.frame(index, width);
  }

  /** Frees the network's memory. */
  release(): Promise<void> {
    return this.session.release();
  }
}

/** latent (1, D) -> pixels uint8 (height, width, 3). */
function decoderGraph(config: InrConfig, network: ContainerNetwork): Uint8Array {
  const graph = new Graph('latent-inr-decoder');
  const { rows, columns } = patchGrid(config);
  const { patch, width, height } = config;
  const parameters = new Map([...network.tensors].map(([name, { dims, data }]): [string, Value] => [name, graph.initializer(name, float32(data, dims))]));
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
  // + 0.5 and truncation rounds half up on every runtime alike.
  graph.output('pixels', ops.cast(ops.add(ops.mul(ops.clip(frame, 0, 1), 255), 0.5), 'uint8'));
  return graph.toOnnx();
}

function checkTensors(container: Container, network: ContainerNetwork, config: InrConfig): void {
  const { meta, latentDim } = container;
  const facts = [['width', meta.width], ['height', meta.height], ['frames', meta.frames], ['latentDim', latentDim]] as const;
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
