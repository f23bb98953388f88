/** Published vision towers: what one is, what it needs, and frames to features with it. */
import type { Frame, FrameSize } from '../frames/types.js';
import type { ParameterSpec } from '../graph/index.js';
import type { TensorFile, TowerConfig } from '../pack/index.js';
import type { Runtime } from '../runtime/types.js';
import { weightSpecs } from './layers.js';
import { pixelShuffleStep } from './pixel-shuffle.js';
import { prepare, preparedSize } from './preparation.js';
import { StagedNetwork, type Step } from './stages.js';
import { videoLlamaSteps } from './video-llama.js';
import { HUGGING_FACE_LAYOUT, pixelStep, vitSteps, vitTokens } from './vit.js';

/** Frames to features: what latents are made of and aligned to. */
export interface FeatureTower {
  /** Feature tokens of a frame. */
  readonly tokens: number;
  /** Numbers of a token. */
  readonly channels: number;
  /** Numbers of a frame: tokens x channels. */
  readonly featureSize: number;
  /** The size at which frames of a video of `video` pixels should be asked for. */
  frameSize(video: FrameSize): FrameSize;
  /**
   * @param frames of any size
   * @returns (n, tokens, channels)
   * @throws the signal's reason between frames once it is aborted
   */
  features(frames: readonly Picture[], options?: { readonly signal?: AbortSignal }): Promise<Float32Array>;
  release(): Promise<void>;
}

export type Picture = Pick<Frame, 'width' | 'height' | 'data'>;

/** The network of a tower: planes (N, 3, size, size) to features (N, tokens, channels). */
function stepsOf({ architecture, vit, former, shuffle, prefix }: TowerConfig): Step[] {
  if (architecture === 'video-llama') {
    if (former === undefined) throw new Error('a video-llama tower needs its Q-Former');
    return videoLlamaSteps({ vit, frame: former });
  }
  const steps = vitSteps(vit, HUGGING_FACE_LAYOUT, prefix);
  return shuffle === undefined ? steps : [...steps, pixelShuffleStep(shuffle)];
}

/** Feature tokens a frame, and numbers a token. */
export function featureShape({ vit, former, shuffle = 1 }: TowerConfig): { tokens: number; channels: number } {
  if (former !== undefined) return { tokens: former.queries, channels: former.hidden };
  return { tokens: vitTokens(vit) / shuffle ** 2, channels: vit.width * shuffle ** 2 };
}

/** Names and shapes of the tensors a tower is made of; nothing is read. */
export function towerSpecs(config: TowerConfig): ParameterSpec[] {
  const { size } = config.preparation;
  return weightSpecs((graph, weights) => {
    stepsOf(config).reduce((x, step) => step.apply(x, weights), graph.input('planes', 'float32', [1, 3, size, size]));
  });
}

/**
 * What keeps a file from being this tower: tensors that are missing or of other shapes, a sentence each. Nothing is read.
 */
export function towerProblems(config: TowerConfig, tensors: TensorFile): string[] {
  return towerSpecs(config).flatMap(({ name, dims }) => {
    if (!tensors.has(name)) return [`${tensors.file} has no tensor "${name}" [${dims.join(', ')}]`];
    const found = tensors.info(name).dims;
    return found.join() === dims.join() ? [] : [`${tensors.file}: tensor "${name}" has shape [${found.join(', ')}], expected [${dims.join(', ')}]`];
  });
}

export class PublishedTower implements FeatureTower {
  readonly tokens: number;
  readonly channels: number;
  readonly featureSize: number;

  private constructor(
    readonly config: TowerConfig,
    private readonly network: StagedNetwork,
  ) {
    [this.tokens, this.channels] = network.outputDims as [number, number];
    this.featureSize = this.tokens * this.channels;
  }

  /** @throws TensorFileError naming the tensor that is missing or has another shape than `config` asks for. */
  static async load(config: TowerConfig, tensors: TensorFile, runtime: Runtime, options: { readonly signal?: AbortSignal } = {}): Promise<PublishedTower> {
    const { size, rescale, mean, std } = config.preparation;
    const steps = [pixelStep({ rescale, mean, std }), ...stepsOf(config)];
    const network = await StagedNetwork.load(config.architecture, steps, { dtype: 'uint8', dims: ['N', size, size, 3] }, tensors, runtime, options);
    return new PublishedTower(config, network);
  }

  frameSize(video: FrameSize): FrameSize {
    return preparedSize(this.config.preparation, video);
  }

  async features(frames: readonly Picture[], options: { readonly signal?: AbortSignal } = {}): Promise<Float32Array> {
    const { size } = this.config.preparation;
    const features = new Float32Array(frames.length * this.featureSize);
    // One frame a run: more gain nothing on a CPU and delay the first result.
    for (const [index, frame] of frames.entries()) {
      options.signal?.throwIfAborted();
      const pixels = { dtype: 'uint8' as const, dims: [1, size, size, 3], data: prepare(this.config.preparation, frame) };
      features.set(await this.network.run(pixels), index * this.featureSize);
    }
    return features;
  }

  release(): Promise<void> {
    return this.network.release();
  }
}
