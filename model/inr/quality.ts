/** How good a decoded frame is. */

/** PSNR in dB of 8-bit RGB over [0, 1], from the mean squared error of one frame; 100 for identical frames. */
export function psnr(actual: Uint8Array, expected: Uint8Array): number {
  if (actual.length !== expected.length) throw new RangeError(`frames of ${actual.length} and ${expected.length} bytes cannot be compared`);
  let squares = 0;
  for (let i = 0; i < actual.length; i++) squares += ((actual[i] as number) - (expected[i] as number)) ** 2;
  const mse = squares / actual.length / 255 ** 2;
  return mse === 0 ? 100 : -10 * Math.log10(mse);
}

/** Bits a pixel of a file: 8 x bytes / (frames x height x width). */
export function bitsPerPixel(bytes: number, frames: number, width: number, height: number): number {
  return (8 * bytes) / (frames * width * height);
}
