import type { Shot } from '../../model/inr/shots.js';
import type { ErrorCode } from '../errors.js';

export type PictureFormat = 'png' | 'jpeg' | 'webp';

export interface FrameTask {
  /** The container on disk. */
  readonly file: string;
  /** Frame number, from 0. */
  readonly index: number;
  /** Pixels; null: the encoded width. */
  readonly width: number | null;
  readonly format: PictureFormat;
}

export interface Picture {
  readonly bytes: Uint8Array;
  /** Of the container it was decoded from. */
  readonly version: string;
}

/** `file`: the container on disk. */
export type ToDecoder =
  | { readonly type: 'frame'; readonly id: number; readonly task: FrameTask }
  | { readonly type: 'shots'; readonly id: number; readonly file: string };
export type FromDecoder =
  | { readonly type: 'frame'; readonly id: number; readonly picture: Picture }
  | { readonly type: 'shots'; readonly id: number; readonly shots: readonly Shot[] }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
      readonly param: string | null;
      readonly detail: string;
    };

export interface DecoderWorkerData {
  readonly threads: number;
  /** Bytes a container may have. */
  readonly containerBytes: number;
}
