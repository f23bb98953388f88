/** What is said to the model: messages of text and videos. */
import { CodedError } from '../model/runtime/coded-error.js';

export interface TextPart {
  readonly type: 'text';
  readonly text: string;
}

/** A video as the model sees it: one latent a frame. A photo is a video of one frame. */
export interface VideoPart {
  readonly type: 'video';
  readonly id: string;
  /** Latents (T, D), row-major. */
  readonly latents: Float32Array;
  /** D. */
  readonly dim: number;
  /** When each frame is shown, in seconds. */
  readonly times_s: Float64Array | readonly number[];
  /** When the video ends, of which perhaps only some frames are known yet. Absent: the last frame is shown as long as the one before. */
  readonly duration_s?: number;
  /** Changes whenever the latents do, so that nothing cached for the old ones is used. */
  readonly version: string;
}

export type ContentPart = TextPart | VideoPart;

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: readonly ContentPart[];
}

/** Raised for messages that cannot be made into a prompt. */
export class PromptError extends CodedError {
  override readonly name = 'PromptError';

  constructor(
    readonly code: 'empty_messages' | 'wrong_latents' | 'wrong_pack',
    message: string,
  ) {
    super(message);
  }
}

/** @throws PromptError when the part's arrays do not fit each other or the projector */
export function checkVideo(part: VideoPart, dim: number): void {
  const frames = part.latents.length / part.dim;
  if (part.dim !== dim) {
    throw new PromptError('wrong_latents', `video ${part.id} has ${part.dim} numbers a frame, the model pack expects ${dim}: encode the video again with this pack`);
  }
  if (!Number.isInteger(frames) || frames < 1 || part.times_s.length !== frames) {
    throw new PromptError(
      'wrong_latents',
      `video ${part.id} has ${part.latents.length} latent numbers and ${part.times_s.length} times; ${part.dim} numbers and one time a frame are needed`,
    );
  }
}

/**
 * Latents mean something only to the pack whose feature space they live in.
 * @param made the pack a container was aligned to
 * @throws PromptError naming both packs when their feature spaces differ
 */
export function checkFeatureSpace(made: { id: string; feature_space: string }, pack: { id: string; feature_space: string }): void {
  if (made.feature_space === pack.feature_space) return;
  throw new PromptError(
    'wrong_pack',
    `the video was encoded for pack "${made.id}" (feature space ${made.feature_space}), but the pack in use is "${pack.id}" ` +
      `(${pack.feature_space}): use that pack, or encode the video again with this one`,
  );
}
