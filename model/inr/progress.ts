/** How far an encoding is, as its callers are told. */

export interface EncodeProgress {
  readonly stage: 'frames' | 'features' | 'training' | 'writing';
  readonly done: number;
  readonly total: number;
  readonly unit: 'frames' | 'seconds';
  /** Of the pictures: PSNR in dB of what was encoded last. */
  readonly psnr_db?: number;
  /** Frames handled in a second at this stage. */
  readonly frames_per_s?: number;
  /** Seconds until the file is written. */
  readonly eta_s?: number;
}

/** Passes on at most four reports a second, and always the last of a stage. */
export function paced(onProgress: ((progress: EncodeProgress) => void) | undefined): (progress: EncodeProgress) => void {
  let last = -Infinity;
  return (progress) => {
    const now = performance.now();
    if (now - last < 250 && progress.done < progress.total) return;
    last = now;
    onProgress?.(progress);
  };
}
