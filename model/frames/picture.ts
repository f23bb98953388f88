/** How a decoded frame has to be shown: its turn, and its size in square pixels. */
import type { Orientation } from './colour.js';
import type { FrameSize } from './types.js';

/** Bytes of a display matrix: nine numbers of 32 bits. */
const MATRIX_BYTES = 36;

/**
 * The turn that a display matrix asks for (ISO/IEC 14496-12, 8.2.2: a point (x, y) is shown at (a x + c y, b x + d y), y downwards),
 * to the nearest quarter.
 *
 * @param matrix a b u c d v x y w, each of 4 bytes in the machine's order; null: no turn
 */
export function orientationOf(matrix: Uint8Array | null): Orientation {
  if (matrix === null || matrix.length < MATRIX_BYTES) return { rotation: 0, flip: false };
  const [a = 0, b = 0, , c = 0, d = 0] = new Int32Array(matrix.slice(0, MATRIX_BYTES).buffer);
  // A mirroring comes after the turn: without it, the first row has the other sign.
  const flip = a * d - b * c < 0;
  const quarters = Math.round(Math.atan2(b, flip ? -a : a) / (Math.PI / 2));
  return { rotation: (((quarters + 4) % 4) * 90) as Orientation['rotation'], flip };
}

/** The upright size with square pixels: one side grows, as in players. @param aspect width of a pixel over its height */
export function shownSize(coded: FrameSize, aspect: number, { rotation }: Orientation): FrameSize {
  const width = aspect > 1 ? Math.round(coded.width * aspect) : coded.width;
  const height = aspect < 1 ? Math.round(coded.height / aspect) : coded.height;
  return rotation === 90 || rotation === 270 ? { width: height, height: width } : { width, height };
}
