/** Trains a peer as published for HNeRV: Adam, mean squared error, two frames a step, a rising and then falling learning rate. */
import { adamRate, adamStep, Graph, gradients, ops, ParameterLayout, type AdamOptions, type Value } from '../../model/graph/index.js';
import { prepareInPlace, runInPlace } from '../../model/runtime/in-place.js';
import { seededRandom } from '../../model/runtime/random.js';
import { asFloat32, float32, int64, scalar, type HostTensor } from '../../model/runtime/tensor.js';
import type { Runtime, Session } from '../../model/runtime/types.js';
import { wallClock } from './clip.js';
import { fixedCodes, type Peer } from './peer.js';

/**
 * Three times the published peak: a comparison's minutes are a few hundred steps, not 300 passes over the video, and there it
 * gives both peers two to three dB more. Twice as much again made HNeRV fail in some runs.
 */
const LEARNING_RATE = 3e-3;
const BATCH = 2;
const ADAM: AdamOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
/** Part of the schedule spent raising the learning rate, from a tenth of its peak. */
const WARM_UP = 0.1;
const SEED = 1;

/** Inputs as model/inr's training step: `parameters`, `first`, `second` (N), `rate` (), `video` uint8 (T, H, W, 3), `frameIndex` (F). */
function trainingStep(peer: Peer, batch: number): { model: Uint8Array; layout: ParameterLayout } {
  const graph = new Graph(`${peer.name}-training-step`);
  const layout = new ParameterLayout([...peer.encoderSpecs, ...peer.decoderSpecs]);
  const [parameters, first, second] = ['parameters', 'first', 'second'].map((name) => graph.input(name, 'float32', [layout.size])) as [Value, Value, Value];
  const rate = graph.input('rate', 'float32', []);
  const frameIndex = graph.input('frameIndex', 'int64', [batch]);
  const frames = pickFrames(graph, peer, frameIndex);
  const tensors = layout.unflatten(parameters);
  const pixels = peer.decode(tensors, codesOf(graph, peer, tensors, frames, frameIndex));
  const mse = ops.reduceMean(ops.square(ops.sub(pixels, frames)), null, false);
  const next = adamStep({ parameters, first, second }, gradients(mse, [parameters])[0] as Value, rate, ADAM);
  graph.output('parameters_out', next.parameters);
  graph.output('first_out', next.first);
  graph.output('second_out', next.second);
  graph.output('mse', mse);
  return { model: graph.toOnnx(), layout };
}

/** (F, 3, H, W) in [0, 1] */
function pickFrames(graph: Graph, peer: Peer, frameIndex: Value): Value {
  const { width, height } = peer.canvas;
  const video = graph.input('video', 'uint8', [peer.video.frames, height, width, 3]);
  const picked = ops.cast(ops.gather(video, frameIndex, 0), 'float32');
  return ops.mul(ops.transpose(picked, [0, 3, 1, 2]), 1 / 255);
}

function codesOf(graph: Graph, peer: Peer, parameters: ReadonlyMap<string, Value>, frames: Value, frameIndex: Value): Value {
  const fixed = fixedCodes(peer);
  if (fixed === null) return peer.encode(parameters, frames);
  return ops.gather(ops.constant(graph, float32(fixed, [peer.video.frames, ...peer.codeDims])), frameIndex, 0);
}

export interface PeerTrainOptions {
  /** A clock in seconds that the time is counted by. Default: the time that passes. */
  readonly clock?: () => number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly seconds: number; readonly psnr_db: number }) => void;
}

export class PeerTrainer {
  /** Mean squared error before the last step, over its frames. */
  mse = NaN;
  steps = 0;
  private readonly random = seededRandom(SEED);
  private queue: number[] = [];

  private constructor(
    private readonly runtime: Runtime,
    private readonly session: Session,
    private readonly peer: Peer,
    private readonly layout: ParameterLayout,
    private readonly state: readonly [Float32Array, Float32Array, Float32Array],
    private readonly video: HostTensor,
    private readonly batch: number,
  ) {}

  /** `frames`: RGB (height, width, 3) each, of the size the peer was made for. */
  static async create(runtime: Runtime, peer: Peer, frames: readonly Uint8Array[]): Promise<PeerTrainer> {
    const batch = Math.min(BATCH, frames.length);
    const { model, layout } = trainingStep(peer, batch);
    const random = seededRandom(SEED);
    const parameters = new Float32Array(layout.size);
    for (const spec of layout.specs) layout.view(parameters, spec.name).set(peer.initial(spec, random));
    const session = await runtime.createSession(prepareInPlace(model));
    const state = [parameters, new Float32Array(layout.size), new Float32Array(layout.size)] as const;
    return new PeerTrainer(runtime, session, peer, layout, state, onCanvas(peer, frames), batch);
  }

  /** One step. `progress` in [0, 1] is the part of the training done. */
  async step(progress: number): Promise<void> {
    this.steps += 1;
    const [parameters, first, second] = this.state.map((data) => float32(data, [data.length])) as [HostTensor, HostTensor, HostTensor];
    const mse = scalar(0);
    const rate = scalar(adamRate(LEARNING_RATE * schedule(progress), this.steps, ADAM));
    await runInPlace(
      this.session, { parameters, first, second, rate, video: this.video, frameIndex: int64(this.nextFrames()) },
      { parameters_out: parameters, first_out: first, second_out: second, mse },
    );
    this.mse = asFloat32(mse)[0] as number;
  }

  /** Steps until `seconds` have passed. @throws the signal's reason after the step under way once it is aborted */
  async train(seconds: number, { signal, onProgress, clock = wallClock }: PeerTrainOptions = {}): Promise<void> {
    const started = clock();
    const passed = (): number => clock() - started;
    while (passed() < seconds) {
      signal?.throwIfAborted();
      await this.step(passed() / seconds);
      onProgress?.({ seconds: Math.min(seconds, passed()), psnr_db: -10 * Math.log10(this.mse) });
      // A step holds the thread: a signal gets its turn here.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  /** The decoder's weights as they are now, by name. */
  weights(): Map<string, Float32Array> {
    return new Map(this.peer.decoderSpecs.map(({ name }) => [name, this.layout.view(this.state[0], name).slice()]));
  }

  /** (T, ...codeDims) of all frames as the encoder makes them now; null where codes are fixed. */
  async codes(): Promise<Float32Array | null> {
    const { peer, layout, runtime } = this;
    if (peer.codeAt !== null) return null;
    const graph = new Graph(`${peer.name}-encoder`);
    const frames = pickFrames(graph, peer, graph.input('frameIndex', 'int64', [1]));
    graph.output('codes', peer.encode(layout.initializers(graph, this.state[0]), frames));
    const session = await runtime.createSession(graph.toOnnx());
    const size = peer.codeDims.reduce((product, dim) => product * dim, 1);
    const codes = new Float32Array(peer.video.frames * size);
    for (let t = 0; t < peer.video.frames; t++) {
      const result = await session.run({ video: this.video, frameIndex: int64([t]) });
      codes.set(asFloat32(result['codes'] as HostTensor), t * size);
    }
    await session.release();
    return codes;
  }

  release(): Promise<void> {
    return this.session.release();
  }

  /** The frames of the next step: every frame once in random order, then again. */
  private nextFrames(): number[] {
    if (this.queue.length < this.batch) {
      this.queue = Array.from({ length: this.peer.video.frames }, (_, t) => ({ t, at: this.random() })).sort((a, b) => a.at - b.at).map(({ t }) => t);
    }
    return this.queue.splice(0, this.batch);
  }
}

/** All frames on the peer's canvas (T, H, W, 3), their edges repeated beyond them. */
function onCanvas(peer: Peer, frames: readonly Uint8Array[]): HostTensor {
  const { width, height } = peer.canvas;
  const data = new Uint8Array(frames.length * height * width * 3);
  let at = 0;
  for (const frame of frames) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++, at += 3) {
        const from = (Math.min(y, peer.video.height - 1) * peer.video.width + Math.min(x, peer.video.width - 1)) * 3;
        for (let channel = 0; channel < 3; channel++) data[at + channel] = frame[from + channel] as number;
      }
    }
  }
  return { dtype: 'uint8', dims: [frames.length, height, width, 3], data };
}

/** Linear from a tenth of the peak, then a cosine to zero. */
function schedule(progress: number): number {
  if (progress < WARM_UP) return 0.1 + 0.9 * (progress / WARM_UP);
  return 0.5 * (1 + Math.cos(Math.PI * Math.min(1, (progress - WARM_UP) / (1 - WARM_UP))));
}
