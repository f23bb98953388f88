import type { ClipTask } from '../../model/inr/clip.node.js';
import type { Preset } from '../../model/inr/plan.js';
import type { DeviceChoice } from '../../model/runtime/device-choice.js';
import type { VideoProgress } from '../api/schemas.js';
import type { ErrorCode } from '../errors.js';
import type { ContainerFacts, Media } from '../store/videos.js';

/** What a child process is told to look at. */
export interface ProbeTask {
  readonly file: string;
  /** What its user calls it. */
  readonly name: string;
  readonly packDir: string;
  /** Largest container in bytes. */
  readonly containerBytes: number;
}

/** What it found. */
export type ProbeReport =
  | { readonly type: 'media'; readonly kind: 'video' | 'photo'; readonly media: Media }
  | {
      readonly type: 'container';
      readonly facts: ContainerFacts;
      readonly kind: 'video' | 'photo';
      readonly media: Media;
      readonly sourceName: string;
      readonly sourceBytes: number | null;
    }
  | FailedMessage;

export interface FailedMessage {
  readonly type: 'failed';
  readonly code: ErrorCode;
  readonly message: string;
  /** The stack, for the server's log alone. */
  readonly detail: string;
}

/** What a process that cuts a clip is told to do. */
export type ClipRequest = Omit<ClipTask, 'signal' | 'onProgress'>;

/** The clip is written. */
export interface ClipReport {
  readonly type: 'clip';
}

/** What an encoder process is told to do. */
export interface EncodeTask {
  readonly source: string;
  readonly sourceName: string;
  readonly sourceBytes: number;
  readonly container: string;
  readonly checkpoint: string;
  readonly packDir: string;
  readonly preset: Preset;
  readonly seconds: number | null;
  readonly device: DeviceChoice;
  readonly threads: number;
}

export type ToEncoder =
  | { readonly type: 'start'; readonly task: EncodeTask }
  | { readonly type: 'stop' }
  /** Others are read before it now. */
  | { readonly type: 'aside' }
  /** Whether an answer is being written. */
  | { readonly type: 'answering'; readonly answering: boolean };

export type FromEncoder =
  | { readonly type: 'progress'; readonly progress: VideoProgress }
  /** A container lies on disk, whole. */
  | { readonly type: 'container'; readonly facts: ContainerFacts }
  /** `psnr_db` was measured on the final container, read back; null: infinite. */
  | { readonly type: 'done'; readonly psnr_db: number | null }
  /** It was told to stop and has written its checkpoint. */
  | { readonly type: 'stopped' }
  | FailedMessage;
