/** Frames enlarged to whole cells of a network. */
import type { FrameSize } from '../../model/frames/types.js';

/**
 * All frames (height, width, 3) on a canvas, one after another: (T, H, W, 3). The frames' last rows and columns are
 * repeated beyond them.
 */
export function onCanvas(frames: readonly Uint8Array[], from: FrameSize, canvas: FrameSize): Uint8Array {
  const data = new Uint8Array(frames.length * canvas.height * canvas.width * 3);
  let at = 0;
  for (const frame of frames) {
    for (let y = 0; y < canvas.height; y++) {
      const row = Math.min(y, from.height - 1) * from.width * 3;
      data.set(frame.subarray(row, row + from.width * 3), at);
      const last = frame.subarray(row + (from.width - 1) * 3, row + from.width * 3);
      for (let x = from.width; x < canvas.width; x++) data.set(last, at + x * 3);
      at += canvas.width * 3;
    }
  }
  return data;
}
