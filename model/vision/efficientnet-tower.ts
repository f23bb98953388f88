/** EfficientNet-Lite as a feature tower: the pooled map of each frame, and its ImageNet classifier. */
import { resize } from '../frames/resize.js';
import type { FrameSize } from '../frames/types.js';
import type { TensorFile, VisionConfig } from '../pack/index.js';
import { asFloat32, type HostTensor } from '../runtime/tensor.js';
import type { Runtime, Session } from '../runtime/types.js';
import { buildVisionGraph, LOGITS, PIXELS, TOKENS, TOKENS_PER_FRAME } from './efficientnet.js';
import type { FeatureTower, Picture } from './feature-tower.js';

const COLOURS = 3;

/** Frames a run: more gain nothing on a CPU and delay the first result. */
export const FRAMES_PER_RUN = 1;

export class EfficientNetTower implements FeatureTower {
  readonly tokens = TOKENS_PER_FRAME;
  readonly featureSize: number;
  private logitsSession: Promise<Session> | undefined;

  private constructor(
    private readonly config: VisionConfig,
    private readonly weights: () => Promise<TensorFile>,
    private readonly runtime: Runtime,
    private readonly session: Session,
    readonly channels: number,
  ) {
    this.featureSize = this.tokens * channels;
  }

  /** @param weights reads the tower's file; asked again when logits are wanted. @throws SafetensorsError. */
  static async load(config: VisionConfig, weights: () => Promise<TensorFile>, runtime: Runtime): Promise<EfficientNetTower> {
    const graph = buildVisionGraph(config, await weights(), TOKENS);
    const channels = graph.outputs[0]?.value.dims[2] as number;
    return new EfficientNetTower(config, weights, runtime, await runtime.createSession(graph.toOnnx()), channels);
  }

  frameSize(): FrameSize {
    return { width: this.config.size, height: this.config.size };
  }

  /** For each frame, squashed to the tower's square as in training, the mean of the feature map, then the means of its quarters. */
  async features(frames: readonly Picture[], options: { readonly signal?: AbortSignal } = {}): Promise<Float32Array> {
    const features = new Float32Array(frames.length * this.featureSize);
    for (let start = 0; start < frames.length; start += FRAMES_PER_RUN) {
      options.signal?.throwIfAborted();
      const batch = frames.slice(start, start + FRAMES_PER_RUN);
      const results = await this.session.run({ [PIXELS]: this.pixels(batch) }, [TOKENS]);
      features.set(outputOf(results, TOKENS), start * this.featureSize);
    }
    return features;
  }

  /** The ImageNet logits of one frame, (classes). Its graph is built on the first call. */
  async logits(frame: Picture): Promise<Float32Array> {
    this.logitsSession ??= this.buildLogits();
    const session = await this.logitsSession;
    return outputOf(await session.run({ [PIXELS]: this.pixels([frame]) }, [LOGITS]), LOGITS);
  }

  async release(): Promise<void> {
    await this.session.release();
    await (await this.logitsSession)?.release();
  }

  private async buildLogits(): Promise<Session> {
    return this.runtime.createSession(buildVisionGraph(this.config, await this.weights(), LOGITS).toOnnx());
  }

  /** (n, size, size, 3) uint8. */
  private pixels(frames: readonly Picture[]): HostTensor {
    const { size } = this.config;
    const bytes = size * size * COLOURS;
    const data = new Uint8Array(frames.length * bytes);
    frames.forEach((frame, index) => data.set(resize(frame, size, size), index * bytes));
    return { dtype: 'uint8', dims: [frames.length, size, size, COLOURS], data };
  }
}

function outputOf(results: Readonly<Record<string, HostTensor>>, name: string): Float32Array {
  const tensor = results[name];
  if (tensor === undefined) throw new Error(`the vision graph gave no "${name}"`);
  return asFloat32(tensor);
}
