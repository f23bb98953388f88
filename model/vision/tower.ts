/** The vision tower: frames to features, and features to latent targets. */
import type { Frame } from '../frames/types.js';
import { resize } from '../frames/resize.js';
import type { PackManifest, TensorFile } from '../pack/index.js';
import { asFloat32 } from '../runtime/tensor.js';
import type { Runtime, Session } from '../runtime/types.js';
import { buildVisionGraph, LOGITS, PIXELS, TOKENS, TOKENS_PER_FRAME } from './efficientnet.js';
import { LatentMap } from './latent-map.js';

/** The part of a model pack the tower reads. */
export interface VisionPack {
  readonly manifest: Pick<PackManifest, 'vision' | 'latent'>;
  tensors(file: string): Promise<TensorFile>;
}

type Picture = Pick<Frame, 'width' | 'height' | 'data'>;

const WEIGHTS_FILE = 'vision.safetensors';
const LATENT_MAP_FILE = 'latent-map.safetensors';
const COLOURS = 3;

/** Frames a run: more gain nothing on a CPU and delay the first result. */
export const FRAMES_PER_RUN = 1;

export class VisionTower {
  private logitsSession: Promise<Session> | undefined;

  private constructor(
    private readonly pack: VisionPack,
    private readonly runtime: Runtime,
    private readonly session: Session,
    private readonly map: LatentMap,
    /** Numbers a frame `features` gives: tokens x channels. */
    readonly featureSize: number,
  ) {}

  /** Reads the tower's weights and its latent map from the pack. @throws PackError, SafetensorsError. */
  static async load(pack: VisionPack, runtime: Runtime): Promise<VisionTower> {
    const { vision, latent } = pack.manifest;
    const weights = await pack.tensors(WEIGHTS_FILE);
    const graph = buildVisionGraph(vision, weights, TOKENS);
    const featureSize = TOKENS_PER_FRAME * (graph.outputs[0]?.value.dims[2] as number);
    const map = LatentMap.from(await pack.tensors(LATENT_MAP_FILE), featureSize, latent.dim);
    return new VisionTower(pack, runtime, await runtime.createSession(graph.toOnnx()), map, featureSize);
  }

  /** Numbers of a latent target, D. */
  get latentDim(): number {
    return this.map.dim;
  }

  /** (D): standard deviation of each latent number over the training photos. */
  get latentSigma(): Float32Array {
    return this.map.sigma;
  }

  /**
   * The features of frames of any size; each is squashed to the tower's square as in training.
   *
   * @returns (n, featureSize): for each frame the mean of the feature map, then the means of its quarters.
   * @throws the signal's reason between runs once it is aborted.
   */
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

  /** Latent targets (n, D) of features (n, featureSize). */
  latents(features: Float32Array): Float32Array {
    return this.map.apply(features);
  }

  /** Frees the sessions. */
  async release(): Promise<void> {
    await this.session.release();
    await (await this.logitsSession)?.release();
  }

  private async buildLogits(): Promise<Session> {
    const weights = await this.pack.tensors(WEIGHTS_FILE);
    return this.runtime.createSession(buildVisionGraph(this.pack.manifest.vision, weights, LOGITS).toOnnx());
  }

  /** (n, size, size, 3) uint8. */
  private pixels(frames: readonly Picture[]): { dtype: 'uint8'; dims: number[]; data: Uint8Array } {
    const { size } = this.pack.manifest.vision;
    const bytes = size * size * COLOURS;
    const data = new Uint8Array(frames.length * bytes);
    frames.forEach((frame, index) => data.set(resize(frame, size, size), index * bytes));
    return { dtype: 'uint8', dims: [frames.length, size, size, COLOURS], data };
  }
}

function outputOf(results: Readonly<Record<string, Parameters<typeof asFloat32>[0]>>, name: string): Float32Array {
  const tensor = results[name];
  if (tensor === undefined) throw new Error(`the vision graph gave no "${name}"`);
  return asFloat32(tensor);
}
