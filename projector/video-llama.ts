/**
 * The first half of Video-LLaMA's projector (Zhang et al., 2023, section 2.1): frame positions, the video Q-Former, and the map
 * to the language model's width. A whole video becomes 32 tokens. The frames' tokens that go in are model/vision/video-llama.ts's.
 */
import { ops, type Value } from '../model/graph/index.js';
import { linear, under, type WeightSource } from '../model/vision/layers.js';
import { qFormer } from '../model/vision/q-former.js';
import type { VideoLlamaConfig } from '../model/vision/video-llama.js';

/**
 * @param frames (T, Q, H): the frames' tokens, T known
 * @returns (1, video queries, H)
 * @throws RangeError when there are more frames than positions
 */
export function videoQFormer({ frame, video, positions }: VideoLlamaConfig, frames: Value, weights: WeightSource): Value {
  const count = frames.dims[0];
  if (typeof count !== 'number' || count > positions) throw new RangeError(`${count} frames, positions were learned for ${positions}`);
  const table = weights('video_frame_position_embedding.weight', [positions, frame.hidden]);
  const placed = ops.add(frames, ops.reshape(ops.slice(table, 0, 0, count), [count, 1, frame.hidden]));
  const flat = ops.reshape(placed, [1, count * frame.queries, frame.hidden]);
  return qFormer(video, flat, weights('video_query_tokens', [1, video.queries, video.hidden]), under(weights, 'video_Qformer.bert.'));
}

/** The frames' tokens (T, Q, H) to the video's tokens for the language model (1, video queries, W). */
export function videoLlamaProjector(config: VideoLlamaConfig, frames: Value, weights: WeightSource): Value {
  return linear(videoQFormer(config, frames, weights), weights, 'llama_proj', config.language);
}
