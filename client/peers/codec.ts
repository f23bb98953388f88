/** A network as a codec: trained on a clip, written as a file, read back. */
import type { Runtime } from '../../model/runtime/types.js';
import { wallClock } from './clip.js';
import type { PeerVideo } from './peer.js';

export interface NeuralCodec {
  readonly name: string;
  readonly video: PeerVideo;
  /** Numbers that its file holds. */
  readonly numbers: number;
  /** @param frames RGB (height, width, 3) each, of the video's size. @throws the signal's reason when it is aborted */
  train(
    runtime: Runtime,
    frames: readonly Uint8Array[],
    seconds: number,
    options?: PeerTrainOptions,
  ): Promise<TrainedCodec>;
  /** @param file as `train` made it */
  open(file: Uint8Array, runtime: Runtime): Promise<FrameDecoder>;
}

export interface TrainedCodec {
  readonly file: Uint8Array;
  readonly steps: number;
}

export interface FrameDecoder {
  /** Frame `index`, or what is shown between two frames, as RGB bytes (height, width, 3). */
  frame(index: number): Promise<Uint8Array>;
  release(): Promise<void>;
}

export interface PeerTrainOptions {
  /** A clock in seconds that the time is counted by. Default: the time that passes. */
  readonly clock?: () => number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly seconds: number; readonly psnr_db: number }) => void;
}

/**
 * Calls `step` until `seconds` have passed.
 *
 * @param step is told the part of the time that is over, and gives the mean squared error it found
 * @returns how often it was called
 * @throws the signal's reason after the step under way once it is aborted
 */
export async function stepFor(
  seconds: number,
  step: (progress: number) => Promise<number>,
  options: PeerTrainOptions = {},
): Promise<number> {
  const { signal, onProgress, clock = wallClock } = options;
  const started = clock();
  const passed = (): number => clock() - started;
  let steps = 0;
  while (passed() < seconds) {
    signal?.throwIfAborted();
    const mse = await step(passed() / seconds);
    steps += 1;
    onProgress?.({ seconds: Math.min(seconds, passed()), psnr_db: -10 * Math.log10(mse) });
    // A step holds the thread: a signal gets its turn here.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return steps;
}
