/**
 * NVP as a codec: AdamW over random points, as published, here at the crossings of random rows, columns and frames;
 * levels of 8 bits for each level and feature of the grids. The published JPEG and HEVC of those levels are replaced by
 * the container's own lossless coder, and the head, which the authors keep as floats, is 8 bits as well: at small sizes
 * it is a large part.
 */
import { decodeNetwork, encodeNetwork, type ContainerTensor } from '../../model/container/index.js';
import { Graph, ops, ParameterLayout, type ParameterSpec, type Value } from '../../model/graph/index.js';
import { seededRandom } from '../../model/runtime/random.js';
import { float32, int64, sizeOf, type HostTensor } from '../../model/runtime/tensor.js';
import type { Runtime, Session } from '../../model/runtime/types.js';
import { stepFor, type FrameDecoder, type NeuralCodec, type PeerTrainOptions } from './codec.js';
import { gridSpecs, headSpecs, initial, levelSide, nvpPixels, type NvpShape } from './nvp.js';
import { Optimizer, type Forward } from './optimizer.js';
import type { PeerVideo } from './peer.js';
import { largestWithin, numbersOfBytes } from './sizes.js';

/** Published. */
const LEARNING_RATE = 1e-2;
const LAST_RATE = 1e-5;
const WEIGHT_DECAY = 1e-3;
/**
 * Frames, rows and columns of a step: some 7,700 points instead of 1,245,184, for minutes on a few cores instead of
 * hours on a GPU.
 */
const STEP = { frames: 8, rows: 24, columns: 40 } as const;
/** Stored numbers a pixel of the published small model's grids, and the two-dimensional ones' part of them. */
const PUBLISHED_DENSITY = 0.11;
const PLANES_SHARE = 28 / 136;
/** Points that a decoder draws at once. */
const BAND_POINTS = 1 << 14;
const SEED = 1;

/**
 * NVP with as many grid numbers a pixel as the published small model has.
 *
 * @param levels where not as many as keep the published share
 */
export function nvpAsPublished(video: PeerVideo, levels?: number): NeuralCodec {
  return nvp(video, gridsWithin(video, PUBLISHED_DENSITY * video.width * video.height * video.frames, levels));
}

/** NVP whose file has about `bytes` bytes, if that is more than its head takes. */
export function nvpOfBytes(video: PeerVideo, bytes: number): NeuralCodec {
  return nvp(video, gridsWithin(video, numbersOfBytes(bytes) - countOf(headSpecs({ levels: 1, side: 1 }))));
}

/** Grids of at most `numbers` numbers together, as long as each has one level. */
function gridsWithin(video: PeerVideo, numbers: number, given?: number): NvpShape {
  const planes = (levels: number): number => countOf(gridSpecs(video, { levels, side: 0 }));
  const levels = given ?? largestWithin((count) => count, planes, PLANES_SHARE * numbers);
  // A published grid given more levels than its share keeps its other grid.
  const left = given === undefined ? numbers - planes(levels) : (1 - PLANES_SHARE) * numbers;
  return {
    levels,
    side: largestWithin(
      (side) => side,
      (side) => countOf(gridSpecs(video, { levels: 0, side })),
      left,
    ),
  };
}

function countOf(specs: readonly ParameterSpec[]): number {
  return new ParameterLayout(specs).size;
}

export function nvp(video: PeerVideo, shape: NvpShape): NeuralCodec {
  const specs = [...gridSpecs(video, shape), ...headSpecs(shape)];
  const { levels, side } = shape;
  const name = `NVP, ${levels} levels to ${levelSide(levels - 1)}, ${video.frames} x ${side} x ${side}`;
  return {
    name,
    video,
    numbers: countOf(specs),
    train: (runtime, frames, seconds, options) => train(runtime, { video, shape, specs }, frames, seconds, options),
    open: async (file, runtime) => NvpDecoder.open({ video, shape, specs }, file, runtime),
  };
}

interface Network {
  readonly video: PeerVideo;
  readonly shape: NvpShape;
  readonly specs: readonly ParameterSpec[];
}

async function train(
  runtime: Runtime,
  network: Network,
  frames: readonly Uint8Array[],
  seconds: number,
  options?: PeerTrainOptions,
): Promise<{ file: Uint8Array; steps: number }> {
  const { video, shape, specs } = network;
  const random = seededRandom(SEED);
  const layout = new ParameterLayout(specs);
  const optimizer = await Optimizer.create(runtime, {
    name: 'NVP',
    layout,
    weightDecay: WEIGHT_DECAY,
    initial: (spec) => initial(spec, shape, random),
    forward: (graph, parameters) => forward(graph, network, layout.unflatten(parameters)),
  });
  try {
    const { width, height } = video;
    const data = new Uint8Array(frames.length * height * width * 3);
    frames.forEach((frame, t) => data.set(frame, t * frame.length));
    const clip: HostTensor = { dtype: 'uint8', dims: [frames.length, height, width, 3], data };
    const some = (count: number, of: number): HostTensor =>
      int64(Array.from({ length: count }, () => Math.floor(random() * of)));
    const steps = await stepFor(
      seconds,
      (progress) =>
        optimizer.step(
          {
            video: clip,
            frameIndex: some(STEP.frames, frames.length),
            rowIndex: some(STEP.rows, height),
            columnIndex: some(STEP.columns, width),
          },
          LAST_RATE + (LEARNING_RATE - LAST_RATE) * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress))),
        ),
      options,
    );
    return { file: write(network, (name) => layout.view(optimizer.parameters, name)), steps };
  } finally {
    await optimizer.release();
  }
}

/** Inputs: `video` uint8 (T, H, W, 3), `frameIndex` (F), `rowIndex` (R), `columnIndex` (C). */
function forward(graph: Graph, { video, shape }: Network, tensors: ReadonlyMap<string, Value>): Forward {
  const { frames, width, height } = video;
  const clip = graph.input('video', 'uint8', [frames, height, width, 3]);
  const [frame, row, column] = (
    [
      ['frameIndex', STEP.frames],
      ['rowIndex', STEP.rows],
      ['columnIndex', STEP.columns],
    ] as const
  ).map(([name, count]) => graph.input(name, 'int64', [count])) as [Value, Value, Value];
  const picked = ops.gather(ops.gather(ops.gather(clip, frame, 0), row, 1), column, 2); // (F, R, C, 3)
  const truth = ops.sub(
    ops.mul(ops.cast(ops.reshape(picked, [STEP.frames, STEP.rows * STEP.columns, 3]), 'float32'), 2 / 255),
    1,
  );
  const index = ops.cast(frame, 'float32');
  const share = (positions: Value, count: number): Value =>
    ops.mul(ops.cast(positions, 'float32'), 1 / Math.max(1, count - 1));
  const pixels = nvpPixels(tensors, video, shape, {
    ts: share(frame, frames),
    steps: ops.mul(ops.add(index, 0.5), 1 / frames),
    ys: share(row, height),
    xs: share(column, width),
  });
  const loss = ops.reduceMean(ops.square(ops.sub(pixels, truth)), null, false);
  return { loss, mse: ops.mul(loss, 1 / 4) };
}

/** A tensor as it is stored: of grids, each feature apart. */
function stored({
  specs,
}: Network): {
  readonly name: string;
  readonly from: string;
  readonly part: number;
  readonly dims: readonly number[];
}[] {
  return specs.flatMap(({ name, dims: [features, ...dims] }) =>
    isGrid(name)
      ? Array.from({ length: features as number }, (_, part) => ({ name: `${name}.${part}`, from: name, part, dims }))
      : [{ name, from: name, part: 0, dims: [features as number, ...dims] }],
  );
}

const isGrid = (name: string): boolean => !/^(modulator|siren|last)/.test(name);

function write(network: Network, view: (name: string) => Float32Array): Uint8Array {
  const tensors = new Map<string, ContainerTensor>(
    stored(network).map(({ name, from, part, dims }) => {
      const size = sizeOf(dims);
      return [name, { dims, data: view(from).slice(part * size, (part + 1) * size) }];
    }),
  );
  return encodeNetwork({ config: { peer: 'NVP', ...network.video, ...network.shape }, tensors });
}

/** The tensors of a file, as the network wants them. */
function read(network: Network, file: Uint8Array): Map<string, HostTensor> {
  const { tensors } = decodeNetwork(file);
  const whole = new Map(network.specs.map(({ name, dims }) => [name, float32(new Float32Array(sizeOf(dims)), dims)]));
  for (const { name, from, part, dims } of stored(network)) {
    const tensor = tensors.get(name);
    if (tensor?.data.length !== sizeOf(dims))
      throw new RangeError(`the file of NVP lacks its tensor "${name}" of ${dims.join(' x ')}`);
    (whole.get(from)?.data as Float32Array).set(tensor.data, part * sizeOf(dims));
  }
  return whole;
}

/** Draws frames in bands of rows. */
class NvpDecoder implements FrameDecoder {
  private constructor(
    private readonly session: Session,
    private readonly video: PeerVideo,
    private readonly rows: number,
  ) {}

  static async open(network: Network, file: Uint8Array, runtime: Runtime): Promise<NvpDecoder> {
    const { video, shape } = network;
    const rows = Math.max(1, Math.min(video.height, Math.floor(BAND_POINTS / video.width)));
    const graph = new Graph('NVP-decoder');
    const tensors = new Map([...read(network, file)].map(([name, tensor]) => [name, graph.initializer(name, tensor)]));
    const [ts, steps] = [graph.input('t', 'float32', [1]), graph.input('step', 'float32', [1])];
    const ys = graph.input('ys', 'float32', [rows]);
    const columns = Float32Array.from({ length: video.width }, (_, x) => x / Math.max(1, video.width - 1));
    const pixels = nvpPixels(tensors, video, shape, {
      ts,
      steps,
      ys,
      xs: ops.constant(graph, float32(columns, [video.width])),
    });
    graph.output('pixels', ops.toBytes(ops.mul(ops.add(pixels, 1), 0.5)));
    return new NvpDecoder(await runtime.createSession(graph.toOnnx()), video, rows);
  }

  async frame(index: number): Promise<Uint8Array> {
    const {
      session,
      rows,
      video: { width, height, frames },
    } = this;
    const out = new Uint8Array(height * width * 3);
    const [t, step] = [index / Math.max(1, frames - 1), (index + 0.5) / frames].map((value) =>
      float32(Float32Array.of(value), [1]),
    ) as [HostTensor, HostTensor];
    for (let y = 0; y < height; y += rows) {
      // The last band begins early enough to be a whole one.
      const first = Math.min(y, height - rows);
      const ys = float32(
        Float32Array.from({ length: rows }, (_, i) => (first + i) / Math.max(1, height - 1)),
        [rows],
      );
      const { pixels } = await session.run({ t, step, ys });
      out.set((pixels as HostTensor).data as Uint8Array, first * width * 3);
    }
    return out;
  }

  release(): Promise<void> {
    return this.session.release();
  }
}
