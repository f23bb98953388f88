/**
 * NIRVANA as a codec: its groups' whole numbers in the container's own entropy coder, plain or as differences to the
 * group before, whichever is smaller (the authors' third form, by the learned distribution, is near what an adaptive
 * coder gives). What they keep as floats is stored in 16 bits.
 */
import { decodeNetwork, encodeNetwork, type ContainerTensor } from '../../model/container/index.js';
import { Graph, ops, ParameterLayout, type ParameterSpec, type Value } from '../../model/graph/index.js';
import { float32, type HostTensor } from '../../model/runtime/tensor.js';
import type { Runtime, Session } from '../../model/runtime/types.js';
import type { FrameDecoder, NeuralCodec } from './codec.js';
import { nirvanaNumbers, nirvanaPixels, nirvanaSpecs, patchCentres, patchGrid, type NirvanaShape } from './nirvana.js';
import { trainNirvana, type NirvanaGroup } from './nirvana-training.js';
import type { PeerVideo } from './peer.js';
import { largestWithin } from './sizes.js';

/** Bits of what is not a whole number. */
const REST_BITS = 16;
/**
 * Pictures of so many pixels and more have the authors' patches and channels, made for 1920 x 1080; smaller ones have
 * smaller ones.
 */
const LARGE_PIXELS = 1 << 19;
const LARGE = { patch: 32, channels: 16 } as const;
const SMALL = { patch: 16, channels: 8 } as const;
/** Where the convolutions would leave the stem less than this width, they have half the channels. */
const LEAST_WIDTH = 16;
/** Bits of a stored whole number, about. */
const WHOLE_BITS = 4;

/**
 * NIRVANA whose file has about `bytes` bytes, as far as the stem's width decides.
 *
 * @param group frames of a group; published: 3
 */
export function nirvanaOfBytes(video: PeerVideo, bytes: number, group = 3): NeuralCodec {
  const form = video.width * video.height < LARGE_PIXELS ? SMALL : LARGE;
  const groupBits = (8 * bytes) / Math.ceil(video.frames / group);
  const shaped = (channels: number): NirvanaShape =>
    largestWithin((width) => ({ group, width, patch: form.patch, channels }), bitsOf, groupBits);
  const shape = shaped(form.channels);
  return nirvana(video, shape.width < LEAST_WIDTH ? shaped(form.channels / 2) : shape);
}

/** Bits of a group in a file, about. */
function bitsOf(shape: NirvanaShape): number {
  const { whole, scales, rest } = nirvanaSpecs(shape);
  const count = (specs: readonly ParameterSpec[]): number => new ParameterLayout(specs).size;
  return WHOLE_BITS * count(whole) + REST_BITS * count([...scales, ...rest]);
}

export function nirvana(video: PeerVideo, shape: NirvanaShape): NeuralCodec {
  return {
    name: `NIRVANA, groups of ${shape.group}, width ${shape.width}`,
    video,
    numbers: Math.ceil(video.frames / shape.group) * nirvanaNumbers(shape),
    async train(runtime, frames, seconds, options) {
      const { groups, steps } = await trainNirvana(runtime, video, shape, frames, seconds, options);
      return { file: write(video, shape, groups), steps };
    },
    open: async (file, runtime) => NirvanaDecoder.open(video, shape, read(shape, file), runtime),
  };
}

/** What the file says of a group beside its tensors. */
type GroupHead = {
  /** Whether its whole numbers are differences to those of the group before. */
  readonly differences: boolean;
  readonly scales: readonly number[];
};

function write(video: PeerVideo, shape: NirvanaShape, groups: readonly NirvanaGroup[]): Uint8Array {
  const { whole } = nirvanaSpecs(shape);
  const tensors = new Map<string, ContainerTensor>();
  const heads: GroupHead[] = [];
  groups.forEach((group, g) => {
    const before = groups[g - 1];
    const plain = namedLayers(g, whole, group.whole);
    const differing =
      before === undefined
        ? null
        : namedLayers(
            g,
            whole,
            combined(group.whole, before.whole, (value, other) => value - other),
          );
    const differences = differing !== null && bytesOf(differing) < bytesOf(plain);
    for (const [name, tensor] of differences ? differing : plain) tensors.set(name, tensor);
    tensors.set(`${g}.rest`, { dims: [group.rest.length], data: group.rest });
    heads.push({ differences, scales: group.scales });
  });
  return encodeNetwork({ config: { peer: 'NIRVANA', ...video, ...shape, groups: heads }, tensors }, { levels });
}

function combined(
  layers: readonly Float32Array[],
  others: readonly Float32Array[],
  combine: (value: number, other: number) => number,
): Float32Array[] {
  return layers.map((layer, i) => layer.map((value, at) => combine(value, others[i]?.[at] as number)));
}

function namedLayers(
  group: number,
  whole: readonly ParameterSpec[],
  layers: readonly Float32Array[],
): Map<string, ContainerTensor> {
  return new Map(whole.map(({ dims }, i) => [`${group}.${i}`, { dims, data: layers[i] as Float32Array }]));
}

const levels = (name: string): { bits: number } | { step: number } =>
  name.endsWith('.rest') ? { bits: REST_BITS } : { step: 1 };

function bytesOf(tensors: ReadonlyMap<string, ContainerTensor>): number {
  return encodeNetwork({ config: {}, tensors }, { levels }).length;
}

/** The groups of a file. @throws RangeError for what is not a file of NIRVANA of this shape */
function read(shape: NirvanaShape, file: Uint8Array): NirvanaGroup[] {
  const { config, tensors } = decodeNetwork(file);
  const { whole } = nirvanaSpecs(shape);
  const heads = config['groups'];
  if (!Array.isArray(heads)) throw new RangeError('the file of NIRVANA does not say how its groups are stored');
  const groups: NirvanaGroup[] = [];
  const tensor = (name: string): Float32Array => {
    const data = tensors.get(name)?.data;
    if (data === undefined) throw new RangeError(`the file of NIRVANA lacks its tensor "${name}"`);
    return data;
  };
  for (const [g, { differences, scales }] of (heads as GroupHead[]).entries()) {
    const before = groups[g - 1];
    const layers = whole.map((_, i) => tensor(`${g}.${i}`));
    const plain =
      differences && before !== undefined ? combined(layers, before.whole, (value, other) => value + other) : layers;
    groups.push({ whole: plain, scales, rest: tensor(`${g}.rest`) });
  }
  return groups;
}

/**
 * Draws all frames of a group at once. With groups of one, a moment between two frames is drawn by a mixture of both
 * networks.
 */
class NirvanaDecoder implements FrameDecoder {
  #drawn: { readonly moment: number; readonly frames: Uint8Array } | null = null;

  private constructor(
    private readonly session: Session,
    private readonly video: PeerVideo,
    private readonly shape: NirvanaShape,
    private readonly groups: readonly NirvanaGroup[],
  ) {}

  static async open(
    video: PeerVideo,
    shape: NirvanaShape,
    groups: readonly NirvanaGroup[],
    runtime: Runtime,
  ): Promise<NirvanaDecoder> {
    return new NirvanaDecoder(await runtime.createSession(decoderGraph(video, shape)), video, shape, groups);
  }

  /** With groups of more than one frame, a moment between two frames is the nearer one of them. */
  async frame(index: number): Promise<Uint8Array> {
    const { group } = this.shape;
    const { width, height } = this.video;
    if (group === 1) return (await this.#draw(index)).slice();
    const nearer = Math.ceil(index - 0.5);
    const frames = await this.#draw(Math.floor(nearer / group));
    const size = height * width * 3;
    return frames.slice((nearer % group) * size, ((nearer % group) + 1) * size);
  }

  release(): Promise<void> {
    return this.session.release();
  }

  /** The frames (group, height, width, 3) of a group, or of a moment between two groups. */
  async #draw(moment: number): Promise<Uint8Array> {
    if (this.#drawn?.moment !== moment) {
      const [before, after] = [Math.floor(moment), Math.ceil(moment)].map((g) =>
        weightsOf(this.groups[g] as NirvanaGroup),
      ) as [Float32Array, Float32Array];
      const share = moment - Math.floor(moment);
      const mixed = share === 0 ? before : before.map((value, i) => value + share * ((after[i] as number) - value));
      const { pixels } = await this.session.run({ weights: float32(mixed, [mixed.length]) });
      this.#drawn = { moment, frames: (pixels as HostTensor).data as Uint8Array };
    }
    return this.#drawn.frames;
  }
}

/** A group's weights, one tensor after another. */
function weightsOf({ whole, scales, rest }: NirvanaGroup): Float32Array {
  return Float32Array.from([
    ...whole.flatMap((layer, i) => [...layer.map((value) => value * (scales[i] as number))]),
    ...rest,
  ]);
}

/** weights (N) of the stem's layers and the rest -> pixels uint8 (group, height, width, 3). */
function decoderGraph(video: PeerVideo, shape: NirvanaShape): Uint8Array {
  const { whole, rest } = nirvanaSpecs(shape);
  const { group, patch } = shape;
  const graph = new Graph('NIRVANA-decoder');
  const layout = new ParameterLayout([...whole, ...rest]);
  const tensors = layout.unflatten(graph.input('weights', 'float32', [layout.size]));
  const { rows, columns } = patchGrid(video, shape);
  const centres = ops.constant(graph, float32(patchCentres({ rows, columns }), [rows * columns, 2]));
  const pixels = nirvanaPixels(
    whole.map(({ name }) => tensors.get(name) as Value),
    tensors,
    shape,
    centres,
  );
  const apart = ops.reshape(pixels, [rows, columns, group, 3, patch, patch]);
  const canvas = ops.reshape(ops.transpose(apart, [2, 0, 4, 1, 5, 3]), [group, rows * patch, columns * patch, 3]);
  graph.output('pixels', ops.toBytes(ops.slice(ops.slice(canvas, 1, 0, video.height), 2, 0, video.width)));
  return graph.toOnnx();
}
