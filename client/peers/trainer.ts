/**
 * Trains a peer as published for HNeRV: Adam, mean squared error, two frames a step, a rising and then falling learning
 * rate.
 */
import { Graph, ops, ParameterLayout, type Value } from '../../model/graph/index.js';
import { seededRandom } from '../../model/runtime/random.js';
import { asFloat32, float32, int64, sizeOf, type HostTensor } from '../../model/runtime/tensor.js';
import type { Runtime } from '../../model/runtime/types.js';
import { onCanvas } from './canvas.js';
import { stepFor, type NeuralCodec, type PeerTrainOptions } from './codec.js';
import { Optimizer, type Forward } from './optimizer.js';
import { fixedCodes, PeerDecoder, storedNumbers, writePeer, type Peer } from './peer.js';

/**
 * Three times the published peak: a comparison's minutes are a few hundred steps, not 300 passes over the video, and
 * there it gives both peers two to three dB more. Twice as much again made HNeRV fail in some runs.
 */
const LEARNING_RATE = 3e-3;
const BATCH = 2;
/** Part of the schedule spent raising the learning rate, from a tenth of its peak. */
const WARM_UP = 0.1;
const SEED = 1;

/** The peer as a codec: trained as here, written by `writePeer`. */
export function frameCodec(peer: Peer): NeuralCodec {
  return {
    name: peer.name,
    video: peer.video,
    numbers: storedNumbers(peer),
    async train(runtime, frames, seconds, options) {
      const trainer = await PeerTrainer.create(runtime, peer, frames);
      try {
        await trainer.train(seconds, options);
        return { file: writePeer(peer, trainer.weights(), await trainer.codes()), steps: trainer.steps };
      } finally {
        await trainer.release();
      }
    },
    open: (file, runtime) => PeerDecoder.open(peer, file, runtime),
  };
}

/** Inputs: `video` uint8 (T, H, W, 3) and `frameIndex` (F). */
function forward(peer: Peer, layout: ParameterLayout, batch: number, graph: Graph, parameters: Value): Forward {
  const frameIndex = graph.input('frameIndex', 'int64', [batch]);
  const frames = pickFrames(graph, peer, frameIndex);
  const tensors = layout.unflatten(parameters);
  const pixels = peer.decode(tensors, codesOf(graph, peer, tensors, frames, frameIndex));
  const mse = ops.reduceMean(ops.square(ops.sub(pixels, frames)), null, false);
  return { loss: mse, mse };
}

/** (F, 3, H, W) in [0, 1] */
function pickFrames(graph: Graph, peer: Peer, frameIndex: Value): Value {
  const { width, height } = peer.canvas;
  const video = graph.input('video', 'uint8', [peer.video.frames, height, width, 3]);
  const picked = ops.cast(ops.gather(video, frameIndex, 0), 'float32');
  return ops.mul(ops.transpose(picked, [0, 3, 1, 2]), 1 / 255);
}

function codesOf(
  graph: Graph,
  peer: Peer,
  parameters: ReadonlyMap<string, Value>,
  frames: Value,
  frameIndex: Value,
): Value {
  const fixed = fixedCodes(peer);
  if (fixed === null) return peer.encode(parameters, frames);
  return ops.gather(ops.constant(graph, float32(fixed, [peer.video.frames, ...peer.codeDims])), frameIndex, 0);
}

export class PeerTrainer {
  /** Mean squared error before the last step, over its frames. */
  mse = NaN;
  steps = 0;
  private readonly random = seededRandom(SEED);
  private queue: number[] = [];

  private constructor(
    private readonly runtime: Runtime,
    private readonly peer: Peer,
    private readonly layout: ParameterLayout,
    private readonly optimizer: Optimizer,
    private readonly video: HostTensor,
    private readonly batch: number,
  ) {}

  /** `frames`: RGB (height, width, 3) each, of the size the peer was made for. */
  static async create(runtime: Runtime, peer: Peer, frames: readonly Uint8Array[]): Promise<PeerTrainer> {
    const batch = Math.min(BATCH, frames.length);
    const layout = new ParameterLayout([...peer.encoderSpecs, ...peer.decoderSpecs]);
    const random = seededRandom(SEED);
    const optimizer = await Optimizer.create(runtime, {
      name: peer.name,
      layout,
      initial: (spec) => peer.initial(spec, random),
      forward: (graph, parameters) => forward(peer, layout, batch, graph, parameters),
    });
    const { width, height } = peer.canvas;
    const video: HostTensor = {
      dtype: 'uint8',
      dims: [frames.length, height, width, 3],
      data: onCanvas(frames, peer.video, peer.canvas),
    };
    return new PeerTrainer(runtime, peer, layout, optimizer, video, batch);
  }

  /** One step. `progress` in [0, 1] is the part of the training done. @returns `mse` */
  async step(progress: number): Promise<number> {
    this.steps += 1;
    this.mse = await this.optimizer.step(
      { video: this.video, frameIndex: int64(this.nextFrames()) },
      LEARNING_RATE * schedule(progress),
    );
    return this.mse;
  }

  /** Steps until `seconds` have passed. @throws the signal's reason after the step under way once it is aborted */
  async train(seconds: number, options?: PeerTrainOptions): Promise<void> {
    await stepFor(seconds, (progress) => this.step(progress), options);
  }

  /** The decoder's weights as they are now, by name. */
  weights(): Map<string, Float32Array> {
    return new Map(
      this.peer.decoderSpecs.map(({ name }) => [name, this.layout.view(this.optimizer.parameters, name).slice()]),
    );
  }

  /** (T, ...codeDims) of all frames as the encoder makes them now; null where codes are fixed. */
  async codes(): Promise<Float32Array | null> {
    const { peer, layout, runtime } = this;
    if (peer.codeAt !== null) return null;
    const graph = new Graph(`${peer.name}-encoder`);
    const frames = pickFrames(graph, peer, graph.input('frameIndex', 'int64', [1]));
    graph.output('codes', peer.encode(layout.initializers(graph, this.optimizer.parameters), frames));
    const session = await runtime.createSession(graph.toOnnx());
    const size = sizeOf(peer.codeDims);
    const codes = new Float32Array(peer.video.frames * size);
    for (let t = 0; t < peer.video.frames; t++) {
      const result = await session.run({ video: this.video, frameIndex: int64([t]) });
      codes.set(asFloat32(result['codes'] as HostTensor), t * size);
    }
    await session.release();
    return codes;
  }

  release(): Promise<void> {
    return this.optimizer.release();
  }

  /** The frames of the next step: every frame once in random order, then again. */
  private nextFrames(): number[] {
    if (this.queue.length < this.batch) {
      const order = Array.from({ length: this.peer.video.frames }, (_, t) => ({ t, at: this.random() }));
      this.queue = order.sort((a, b) => a.at - b.at).map(({ t }) => t);
    }
    return this.queue.splice(0, this.batch);
  }
}

/** Linear from a tenth of the peak, then a cosine to zero. */
function schedule(progress: number): number {
  if (progress < WARM_UP) return 0.1 + 0.9 * (progress / WARM_UP);
  return 0.5 * (1 + Math.cos(Math.PI * Math.min(1, (progress - WARM_UP) / (1 - WARM_UP))));
}
