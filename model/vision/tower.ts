/** The vision tower of a pack: frames to features, and features to latent targets. */
import type { FrameSize } from '../frames/types.js';
import { joined, type PackManifest, type TensorFile } from '../pack/index.js';
import type { Runtime } from '../runtime/types.js';
import { EfficientNetTower } from './efficientnet-tower.js';
import { PublishedTower, type FeatureTower, type Picture } from './feature-tower.js';
import { LatentMap } from './latent-map.js';

/** The part of a model pack the tower reads. */
export interface VisionPack {
  readonly manifest: Pick<PackManifest, 'vision' | 'latent'>;
  tensors(file: string): Promise<TensorFile>;
}

const WEIGHTS_FILE = 'vision.safetensors';
const LATENT_MAP_FILE = 'latent-map.safetensors';

export class VisionTower {
  private constructor(
    private readonly tower: FeatureTower,
    private readonly map: LatentMap,
  ) {}

  /** Reads the tower's weights and its latent map from the pack. @throws PackError, TensorFileError. */
  static async load(pack: VisionPack, runtime: Runtime): Promise<VisionTower> {
    const { latent } = pack.manifest;
    const tower = await openFeatureTower(pack, runtime);
    try {
      return new VisionTower(tower, LatentMap.from(await pack.tensors(LATENT_MAP_FILE), tower.featureSize, latent.dim));
    } catch (error) {
      await tower.release();
      throw error;
    }
  }

  /** Numbers a frame `features` gives: tokens x channels. */
  get featureSize(): number {
    return this.tower.featureSize;
  }

  /** Numbers of a latent target, D. */
  get latentDim(): number {
    return this.map.dim;
  }

  /** (D): standard deviation of each latent number over the training photos. */
  get latentSigma(): Float32Array {
    return this.map.sigma;
  }

  /** The size at which frames of a video of `video` pixels should be asked for: what the tower sees, or what it cuts that from. */
  frameSize(video: FrameSize): FrameSize {
    return this.tower.frameSize(video);
  }

  /**
   * The features of frames of any size; each is prepared as in the tower's training.
   *
   * @returns (n, featureSize)
   * @throws the signal's reason between runs once it is aborted.
   */
  features(frames: readonly Picture[], options: { readonly signal?: AbortSignal } = {}): Promise<Float32Array> {
    return this.tower.features(frames, options);
  }

  /** The ImageNet logits of one frame, (classes). @throws Error where the pack's tower has no classifier. */
  logits(frame: Picture): Promise<Float32Array> {
    if (!(this.tower instanceof EfficientNetTower)) throw new Error('the vision tower of this pack has no classifier');
    return this.tower.logits(frame);
  }

  /** Latent targets (n, D) of features (n, featureSize). */
  latents(features: Float32Array): Float32Array {
    return this.map.apply(features);
  }

  /** Frees the sessions. */
  release(): Promise<void> {
    return this.tower.release();
  }
}

/** The tower of a pack without its latent map: what features a map is to be fitted to. */
export async function openFeatureTower(pack: VisionPack, runtime: Runtime): Promise<FeatureTower> {
  const { vision } = pack.manifest;
  if (!('vit' in vision)) return EfficientNetTower.load(vision, () => pack.tensors(WEIGHTS_FILE), runtime);
  const parts = await Promise.all(vision.files.map((file) => pack.tensors(file)));
  return PublishedTower.load(vision, joined(parts, vision.files.join(' + ')), runtime);
}
