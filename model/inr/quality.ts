/** How good a decoded frame is. */

/** PSNR in dB of 8-bit RGB over [0, 1], from the mean squared error of one frame; 100 for identical frames. */
export function psnr(actual: Uint8Array, expected: Uint8Array): number {
  checkSizes(actual, expected);
  let squares = 0;
  for (let i = 0; i < actual.length; i++) squares += ((actual[i] as number) - (expected[i] as number)) ** 2;
  const mse = squares / actual.length / 255 ** 2;
  return mse === 0 ? 100 : -10 * Math.log10(mse);
}

/** What red, green and blue give to luma (ITU-R BT.709). */
const LUMA = [0.2126, 0.7152, 0.0722] as const;

/** PSNR in dB of the luma (BT.709, not rounded) of 8-bit RGB, as `psnr`; 100 where luma is the same. */
export function lumaPsnr(actual: Uint8Array, expected: Uint8Array): number {
  checkSizes(actual, expected);
  const difference = (i: number): number => (actual[i] as number) - (expected[i] as number);
  let squares = 0;
  for (let i = 0; i < actual.length; i += 3) {
    squares += (LUMA[0] * difference(i) + LUMA[1] * difference(i + 1) + LUMA[2] * difference(i + 2)) ** 2;
  }
  const mse = squares / (actual.length / 3) / 255 ** 2;
  return mse === 0 ? 100 : -10 * Math.log10(mse);
}

/** Window of SSIM: 11 x 11, Gaussian of deviation 1.5 pixels; and its constants, for values in [0, 1] (Wang et al., 2004). */
const WINDOW_SIDE = 11;
const WINDOW = gaussianWindow(WINDOW_SIDE, 1.5);
const C1 = 0.01 ** 2;
const C2 = 0.03 ** 2;

/**
 * SSIM (Wang et al., 2004) of two RGB frames (height, width, 3) of bytes: the mean over R, G and B and over every place where
 * the whole window lies inside the frame. 1 for identical frames.
 *
 * @throws RangeError when the frames' sizes differ or a side is shorter than the window.
 */
export function ssim(actual: Uint8Array, expected: Uint8Array, width: number, height: number): number {
  checkSizes(actual, expected);
  if (actual.length !== width * height * 3) throw new RangeError(`a ${width} x ${height} RGB frame has ${width * height * 3} bytes, got ${actual.length}`);
  if (width < WINDOW_SIDE || height < WINDOW_SIDE) throw new RangeError(`SSIM needs frames of at least ${WINDOW_SIDE} pixels a side, got ${width} x ${height}`);
  const pixels = width * height;
  let sum = 0;
  let places = 0;
  for (let channel = 0; channel < 3; channel++) {
    const a = new Float64Array(pixels);
    const b = new Float64Array(pixels);
    for (let i = 0; i < pixels; i++) {
      a[i] = (actual[i * 3 + channel] as number) / 255;
      b[i] = (expected[i * 3 + channel] as number) / 255;
    }
    const mean = (value: (i: number) => number): Float64Array => windowMeans(Float64Array.from({ length: pixels }, (_, i) => value(i)), width, height);
    const [meanA, meanB] = [windowMeans(a, width, height), windowMeans(b, width, height)];
    const squaresA = mean((i) => (a[i] as number) ** 2);
    const squaresB = mean((i) => (b[i] as number) ** 2);
    const products = mean((i) => (a[i] as number) * (b[i] as number));
    for (let i = 0; i < meanA.length; i++) {
      const [ma, mb] = [meanA[i] as number, meanB[i] as number];
      const variances = (squaresA[i] as number) - ma * ma + (squaresB[i] as number) - mb * mb;
      const covariance = (products[i] as number) - ma * mb;
      sum += ((2 * ma * mb + C1) * (2 * covariance + C2)) / ((ma * ma + mb * mb + C1) * (variances + C2));
    }
    places += meanA.length;
  }
  return sum / places;
}

/** Bits a pixel of a file: 8 x bytes / (frames x height x width). */
export function bitsPerPixel(bytes: number, frames: number, width: number, height: number): number {
  return (8 * bytes) / (frames * width * height);
}

function checkSizes(actual: Uint8Array, expected: Uint8Array): void {
  if (actual.length !== expected.length) throw new RangeError(`frames of ${actual.length} and ${expected.length} bytes cannot be compared`);
}

/** One row of the window, its weights summing to one. */
function gaussianWindow(side: number, deviation: number): Float64Array {
  const weights = Float64Array.from({ length: side }, (_, i) => Math.exp(-((i - (side - 1) / 2) ** 2) / (2 * deviation ** 2)));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Weighted means over the window at every place inside: (height, width) -> (height - 10, width - 10). Rows first, then columns. */
function windowMeans(values: Float64Array, width: number, height: number): Float64Array {
  const columns = width - WINDOW_SIDE + 1;
  const rows = height - WINDOW_SIDE + 1;
  const narrowed = new Float64Array(height * columns);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < columns; x++) {
      let sum = 0;
      for (let k = 0; k < WINDOW_SIDE; k++) sum += (WINDOW[k] as number) * (values[y * width + x + k] as number);
      narrowed[y * columns + x] = sum;
    }
  }
  const means = new Float64Array(rows * columns);
  for (let y = 0; y < rows; y++) {
    for (let k = 0; k < WINDOW_SIDE; k++) {
      const weight = WINDOW[k] as number;
      for (let x = 0; x < columns; x++) means[y * columns + x] = (means[y * columns + x] as number) + weight * (narrowed[(y + k) * columns + x] as number);
    }
  }
  return means;
}
