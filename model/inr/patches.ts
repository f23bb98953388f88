/** Frames as patches, the order in which the network gives and takes pixels. */
import type { InrConfig } from './config.js';
import { patchGrid } from './config.js';

/** All frames of a segment as uint8 patches (T, rows, columns, p * p * 3); edges are repeated where a patch reaches past the frame. */
export class PatchStore {
  readonly data: Uint8Array;
  private readonly rows: number;
  private readonly columns: number;

  constructor(readonly config: InrConfig) {
    const grid = patchGrid(config);
    this.rows = grid.rows;
    this.columns = grid.columns;
    this.data = new Uint8Array(config.frames * this.rows * this.columns * config.patch ** 2 * 3);
  }

  /** Stores frame `t`: RGB (height, width, 3). */
  set(t: number, rgb: Uint8Array): void {
    const { width, height, patch } = this.config;
    let at = t * this.rows * this.columns * patch * patch * 3;
    for (let row = 0; row < this.rows; row++) {
      for (let column = 0; column < this.columns; column++) {
        for (let dy = 0; dy < patch; dy++) {
          const y = Math.min(height - 1, row * patch + dy);
          for (let dx = 0; dx < patch; dx++) {
            const from = (y * width + Math.min(width - 1, column * patch + dx)) * 3;
            this.data[at++] = rgb[from] as number;
            this.data[at++] = rgb[from + 1] as number;
            this.data[at++] = rgb[from + 2] as number;
          }
        }
      }
    }
  }

  /** Mean over all frames and each patch's pixels, in [0, 1]: (3, rows, columns). */
  meanFrame(): Float32Array {
    const { frames, patch } = this.config;
    const cells = this.rows * this.columns;
    const pixels = patch * patch;
    const sums = new Float64Array(3 * cells);
    let at = 0;
    for (let t = 0; t < frames; t++) {
      for (let cell = 0; cell < cells; cell++) {
        for (let pixel = 0; pixel < pixels; pixel++) {
          for (let channel = 0; channel < 3; channel++) {
            const sum = channel * cells + cell;
            sums[sum] = (sums[sum] as number) + (this.data[at++] as number);
          }
        }
      }
    }
    return Float32Array.from(sums, (sum) => sum / (frames * pixels * 255));
  }
}
