import type { FrameSize } from './types.js';

/** When each picture of a video is shown: (n) rising seconds from 0, and the end of the last. */
export interface Timeline {
  readonly starts_s: Float64Array;
  readonly end_s: number;
}

/** A program that makes an MP4 file (H.264) of pictures of one size with even sides. */
export interface Mp4Encoder {
  readonly name: 'ffmpeg' | 'mediabunny';
  /** Takes the next picture, RGB (height, width, 3), and waits until there is room for more. */
  add(data: Uint8Array): Promise<void>;
  /** Completes the file. */
  finish(): Promise<void>;
  /** Stops; what was written stays. */
  cancel(): Promise<void>;
}

export interface Mp4Job {
  /** File to write. */
  readonly path: string;
  readonly size: FrameSize;
  readonly timeline: Timeline;
}

/** Seconds between key frames, for jumping about in the video. */
export const KEY_FRAME_SECONDS = 2;
