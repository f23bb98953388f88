/**
 * The first half of Video-LLaMA's projector (Zhang et al., 2023, section 2.1): frame positions, the video Q-Former, and the map
 * to the language model's width. A whole video becomes 32 tokens. The frames' tokens that go in are model/vision/video-llama.ts's.
 */
import { Graph, ops, type Dim, type ParameterSpec, type Value } from '../model/graph/index.js';
import type { ModelPack, PackManifest } from '../model/pack/index.js';
import { asFloat32, float32, int64, type HostTensor } from '../model/runtime/tensor.js';
import type { Runtime, Session } from '../model/runtime/types.js';
import { restoredFeatures } from '../model/vision/latent-map.js';
import { linear, storedWeights, under, weightSpecs, type WeightSource } from '../model/vision/layers.js';
import { qFormer } from '../model/vision/q-former.js';
import type { VideoLlamaConfig } from '../model/vision/video-llama.js';

/** What the projector needs of the branch's sizes. */
type VideoSizes = Pick<VideoLlamaConfig, 'frame' | 'video' | 'positions'>;

/**
 * @param frames (T, Q, H): the frames' tokens; for gradients T must be known
 * @returns (1, video queries, H)
 * @throws RangeError when there are more frames than positions
 */
export function videoQFormer({ frame, video, positions }: VideoSizes, frames: Value, weights: WeightSource): Value {
  const count = frames.dims[0] as Dim;
  if (typeof count === 'number' && count > positions) throw new RangeError(`${count} frames, positions were learned for ${positions}`);
  const table = weights('video_frame_position_embedding.weight', [positions, frame.hidden]);
  const first = typeof count === 'number' ? ops.slice(table, 0, 0, count) : firstRows(table, frames);
  const placed = ops.add(frames, ops.reshape(first, [count, 1, frame.hidden]));
  const flat = ops.reshape(placed, [1, typeof count === 'number' ? count * frame.queries : 'S', frame.hidden]);
  return qFormer(video, flat, weights('video_query_tokens', [1, video.queries, video.hidden]), under(weights, 'video_Qformer.bert.'));
}

/** As many rows of `table` as `frames` turns out to have. */
function firstRows(table: Value, frames: Value): Value {
  const { graph } = table;
  const count = graph.op('Shape', [frames], { start: 0, end: 1 }, { outputs: [{ dtype: 'int64', dims: [1] }] })[0] as Value;
  const zero = ops.constant(graph, int64([0]));
  return graph.op('Slice', [table, zero, count, zero], {}, { outputs: [{ dtype: table.dtype, dims: [frames.dims[0] as Dim, table.dims[1] as Dim] }] })[0] as Value;
}

/** The frames' tokens (T, Q, H) to the video's tokens for the language model (1, video queries, W). */
export function videoLlamaProjector(config: VideoSizes & Pick<VideoLlamaConfig, 'language'>, frames: Value, weights: WeightSource): Value {
  return linear(videoQFormer(config, frames, weights), weights, 'llama_proj', config.language);
}

/** Names and shapes of the projector's tensors, for a language model of width `language`. */
export function videoProjectorSpecs(config: VideoSizes, language: number): ParameterSpec[] {
  const { queries, hidden } = config.frame;
  return weightSpecs((graph, weights) => videoLlamaProjector({ ...config, language }, graph.input('frames', 'float32', [1, queries, hidden]), weights));
}

/** Latents of a video's frames to the tokens of the video: back to the Q-Former's features by the latent map, then as published. */
export class VideoProjector {
  private constructor(
    private readonly dim: number,
    private readonly positions: number,
    private readonly session: Session,
  ) {}

  /** @throws PackError, TensorFileError naming the tensor that is missing or has another shape */
  static async load(pack: ModelPack, sizes: NonNullable<PackManifest['projector']['video']>, runtime: Runtime): Promise<VideoProjector> {
    const { latent, language } = pack.manifest;
    const { queries, hidden } = sizes.frame;
    const graph = new Graph('video-projector');
    const latents = graph.input('latents', 'float32', ['T', latent.dim]);
    const features = restoredFeatures(latents, queries * hidden, storedWeights(graph, await pack.tensors('latent-map.safetensors')));
    const weights = storedWeights(graph, await pack.tensors('projector.safetensors'));
    graph.output('tokens', videoLlamaProjector({ ...sizes, language: language.hidden }, ops.reshape(features, [0, queries, hidden]), weights));
    return new VideoProjector(latent.dim, sizes.positions, await runtime.createSession(graph.toOnnx()));
  }

  /** Latents (T, D) to token embeddings (1, K, H). @throws RangeError for more frames than positions */
  async project(latents: Float32Array): Promise<Float32Array> {
    const frames = latents.length / this.dim;
    if (frames > this.positions) throw new RangeError(`${frames} frames, positions were learned for ${this.positions}`);
    const { tokens } = await this.session.run({ latents: float32(latents, [frames, this.dim]) });
    return asFloat32(tokens as HostTensor);
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}
