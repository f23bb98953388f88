/** How far a mean over a sample may be off, by resampling (Efron 1979). */
import { seededRandom } from '../../model/runtime/random.js';

/** Lower and upper end of a 95% interval. */
export type Interval = readonly [low: number, high: number];

const RESAMPLES = 2000;
const SEED = 1;
/** Of 95%: what lies outside at each end. */
const TAIL = 0.025;

/**
 * The mean and its percentile bootstrap interval: 2,000 resamples of the same size with replacement, from a fixed seed, so that the same
 * values always give the same interval. The interval of one value is that value.
 *
 * @param values at least one
 */
export function bootstrapMean(values: readonly number[]): { readonly mean: number; readonly interval: Interval } {
  if (values.length === 0) throw new RangeError('there is no mean of no values');
  const random = seededRandom(SEED);
  const count = values.length;
  const means = new Float64Array(RESAMPLES);
  for (let resample = 0; resample < RESAMPLES; resample++) {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += values[Math.floor(random() * count)] as number;
    means[resample] = sum / count;
  }
  means.sort();
  const at = (share: number): number => means[Math.round(share * (RESAMPLES - 1))] as number;
  return { mean: values.reduce((sum, value) => sum + value, 0) / count, interval: [at(TAIL), at(1 - TAIL)] };
}
