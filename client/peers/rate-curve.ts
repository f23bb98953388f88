/** Codecs compared at equal size: where one lies against another's curve of rate and distortion. */

export interface RatePoint {
  /** Bits a pixel. */
  readonly bpp: number;
  /** PSNR, of whatever is compared. */
  readonly dB: number;
}

/**
 * PSNR on the curve through `points` at `bpp`: between two of them linear in the logarithm of the rate.
 *
 * @returns null where `bpp` is below the curve's smallest or above its largest rate
 */
export function curveAt(points: readonly RatePoint[], bpp: number): number | null {
  const rising = [...points].sort((a, b) => a.bpp - b.bpp);
  const after = rising.findIndex((point) => point.bpp >= bpp);
  const [low, high] = [rising[after - 1], rising[after]];
  if (high?.bpp === bpp) return high.dB;
  if (low === undefined || high === undefined) return null;
  const share = Math.log(bpp / low.bpp) / Math.log(high.bpp / low.bpp);
  return low.dB + share * (high.dB - low.dB);
}
