/** What a program and its decoder process say to each other. Each request gets one reply, with the same id. */
import type { FrameSourceErrorCode } from './error.js';
import type { MediaFile } from './open.node.js';
import type { Frame, FrameSize, VideoInfo } from './types.js';

export type Request =
  | { readonly call: 'open'; readonly file: MediaFile }
  /** Starts a loop over the frames; `loop` names it from here on. */
  | { readonly call: 'frames'; readonly loop: number; readonly size: FrameSize | null; readonly limit: number | null; readonly from_s: number | null }
  | { readonly call: 'next'; readonly loop: number }
  | { readonly call: 'return'; readonly loop: number }
  /** What reading has found out about the file by now. */
  | { readonly call: 'warnings' }
  /** Lets go of the file; another may be opened. */
  | { readonly call: 'close' };

export interface Replies {
  readonly open: { readonly info: VideoInfo; readonly warnings: readonly string[] };
  readonly frames: null;
  /** Null: the video is over. */
  readonly next: Frame | null;
  readonly return: null;
  readonly warnings: readonly string[];
  readonly close: null;
}

export interface Failure {
  /** Null for anything but a FrameSourceError. */
  readonly code: FrameSourceErrorCode | null;
  readonly message: string;
}

export interface RequestMessage {
  readonly id: number;
  readonly request: Request;
}

export interface ReplyMessage {
  readonly id: number;
  readonly value?: Replies[keyof Replies];
  readonly failure?: Failure;
}
