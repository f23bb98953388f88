/** What the neural peers have in common: their shape, their file and their decoder. */
import { decodeNetwork, encodeNetwork } from '../../model/container/index.js';
import type { ContainerTensor } from '../../model/container/index.js';
import { Graph, ops, ParameterLayout, type ParameterSpec, type Value } from '../../model/graph/index.js';
import { float32, sizeOf, type HostTensor } from '../../model/runtime/tensor.js';
import type { Runtime, Session } from '../../model/runtime/types.js';
import type { FrameDecoder } from './codec.js';
import { largestWithin, numbersOfBytes } from './sizes.js';

/** Frames a peer is made for: pixels and count. */
export interface PeerVideo {
  readonly width: number;
  readonly height: number;
  readonly frames: number;
}

/** Parameters by name, as tensors of a graph. */
export type Parameters = ReadonlyMap<string, Value>;

/** A network that turns one code a frame into the frame. */
export interface Peer {
  readonly name: string;
  readonly video: PeerVideo;
  /** Size in pixels the decoder draws: the frame's, rounded up to whole cells of the first feature map. */
  readonly canvas: { readonly width: number; readonly height: number };
  /** Tensors of the decoder, stored in the file. */
  readonly decoderSpecs: readonly ParameterSpec[];
  /** Tensors that only training needs. */
  readonly encoderSpecs: readonly ParameterSpec[];
  /** Shape of one frame's code. */
  readonly codeDims: readonly number[];
  /** Starting values of all tensors, by name. */
  initial(spec: ParameterSpec, random: () => number): Float32Array;
  /** The code (...codeDims) at frame `index`, or at a moment between frames, where codes follow from the time alone; null where an encoder makes them from the frames. */
  readonly codeAt: ((index: number) => Float32Array) | null;
  /** frames (F, 3, canvas height, canvas width) in [0, 1] -> codes (F, ...codeDims). Only where `codeAt` is null. */
  encode(parameters: Parameters, frames: Value): Value;
  /** codes (F, ...codeDims) -> pixels in [0, 1] (F, 3, canvas height, canvas width). */
  decode(parameters: Parameters, codes: Value): Value;
}

/** The part of an encoder in a peer whose codes follow from the time alone. */
export function withoutEncoder(name: string): Pick<Peer, 'name' | 'encoderSpecs' | 'encode'> {
  return {
    name,
    encoderSpecs: [],
    encode: () => {
      throw new Error(`${name} has no encoder: its codes are the frames’ times`);
    },
  };
}

/** The code of every frame (T, ...codeDims) of a peer whose codes follow from the time alone; null for others. */
export function fixedCodes({ codeAt, video, codeDims }: Peer): Float32Array | null {
  if (codeAt === null) return null;
  const size = sizeOf(codeDims);
  const codes = new Float32Array(video.frames * size);
  for (let t = 0; t < video.frames; t++) codes.set(codeAt(t), t * size);
  return codes;
}

/** Bits of weights and of codes in a peer's file: those HNeRV publishes (its section 4.1 and its code). */
const WEIGHT_BITS = 8;
const CODE_BITS = 6;
const CODES = 'codes';

/** The bytes of a peer's file: its decoder, and its codes where they are not fixed, through the container's own quantiser and entropy coder. */
export function writePeer(peer: Peer, weights: ReadonlyMap<string, Float32Array>, codes: Float32Array | null): Uint8Array {
  const tensors = new Map<string, ContainerTensor>(peer.decoderSpecs.map(({ name, dims }) => {
    const data = weights.get(name);
    if (data === undefined) throw new Error(`${peer.name} has no trained tensor "${name}"`);
    return [name, { dims, data }];
  }));
  if (codes !== null) tensors.set(CODES, { dims: [peer.video.frames, ...peer.codeDims], data: codes });
  return encodeNetwork({ config: { peer: peer.name, ...peer.video }, tensors }, { levels: (name) => ({ bits: name === CODES ? CODE_BITS : WEIGHT_BITS }) });
}

/** Draws frames from a peer's file. */
export class PeerDecoder implements FrameDecoder {
  private constructor(
    private readonly session: Session,
    private readonly peer: Peer,
    private readonly codes: Float32Array,
  ) {}

  /** @throws RangeError when the file lacks the codes. */
  static async open(peer: Peer, file: Uint8Array, runtime: Runtime): Promise<PeerDecoder> {
    const { tensors } = decodeNetwork(file);
    const codes = fixedCodes(peer) ?? tensors.get(CODES)?.data;
    if (codes === undefined) throw new RangeError(`the file of ${peer.name} lacks its codes`);
    return new PeerDecoder(await runtime.createSession(decoderGraph(peer, tensors)), peer, codes);
  }

  /** Frame `index`, or what the peer shows between two frames, as RGB bytes (height, width, 3). */
  async frame(index: number): Promise<Uint8Array> {
    const { pixels } = await this.session.run({ code: float32(this.codeOf(index), [1, ...this.peer.codeDims]) });
    return (pixels as HostTensor).data as Uint8Array;
  }

  release(): Promise<void> {
    return this.session.release();
  }

  /** Between two frames: the peer's own code of the moment, else a mixture of the frames' codes. */
  private codeOf(index: number): Float32Array {
    const { codeDims, codeAt } = this.peer;
    const size = sizeOf(codeDims);
    const from = Math.floor(index);
    const code = this.codes.slice(from * size, (from + 1) * size);
    if (index === from) return code;
    if (codeAt !== null) return codeAt(index);
    return code.map((value, i) => value + (index - from) * ((this.codes[(from + 1) * size + i] as number) - value));
  }
}

/** code (1, ...codeDims) -> pixels uint8 (height, width, 3). */
export function decoderGraph(peer: Peer, tensors: ReadonlyMap<string, ContainerTensor>): Uint8Array {
  const graph = new Graph(`${peer.name}-decoder`);
  const parameters = new Map(peer.decoderSpecs.map(({ name }): [string, Value] => {
    const { dims, data } = tensors.get(name) as ContainerTensor;
    return [name, graph.initializer(name, float32(data, dims))];
  }));
  const { width, height } = peer.video;
  const canvas = peer.decode(parameters, graph.input('code', 'float32', [1, ...peer.codeDims])); // (1, 3, H, W)
  const frame = ops.slice(ops.slice(canvas, 2, 0, height), 3, 0, width);
  graph.output('pixels', ops.transpose(ops.reshape(ops.toBytes(frame), [3, height, width]), [1, 2, 0]));
  return graph.toOnnx();
}

/** Numbers that a peer's file holds. */
export function storedNumbers(peer: Peer): number {
  return new ParameterLayout(peer.decoderSpecs).size + (peer.codeAt === null ? peer.video.frames * sizeOf(peer.codeDims) : 0);
}

/** The peer of the width that comes closest to, and not above, `numbers` stored numbers. `build` is asked for widths 1, 2, ... */
export function peerOfSize(build: (width: number) => Peer, numbers: number): Peer {
  return largestWithin(build, storedNumbers, numbers);
}

/** The peer whose file has about `bytes` bytes. */
export function peerOfBytes(build: (width: number) => Peer, bytes: number): Peer {
  return peerOfSize(build, numbersOfBytes(bytes));
}
