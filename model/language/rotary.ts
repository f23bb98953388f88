/** Rotary positions: how fast each pair of a head's numbers turns, with the scalings that published Llama models use. */
import type { LanguageConfig } from '../pack/manifest.js';

/**
 * Radians a position for each of the head_dim / 2 pairs: theta^(-2i / head_dim), scaled.
 *
 * - `linear` (Chen et al. 2023, position interpolation): all divided by the factor.
 * - `dynamic` (NTK-aware): theta grows with the length of the sequence beyond the original context. The tables are made once, so it is the
 *   longest sequence's theta throughout; within the original context nothing changes.
 * - `llama3` (Llama 3.1): wavelengths above the original context / low factor are divided by the factor, those below it / high factor are
 *   kept, between the two it blends.
 * - `factors`: a divisor for each pair, as GGUF's `rope_freqs.weight` has them.
 *
 * @param positions the longest sequence in tokens
 */
export function rotaryFrequencies(config: LanguageConfig, positions: number): number[] {
  const { head_dim, rope_theta, rope_scaling: scaling } = config;
  const frequencies = (theta: number): number[] => Array.from({ length: head_dim / 2 }, (_, i) => theta ** ((-2 * i) / head_dim));
  if (scaling === undefined) return frequencies(rope_theta);
  switch (scaling.type) {
    case 'linear':
      return frequencies(rope_theta).map((frequency) => frequency / scaling.factor);
    case 'factors':
      return frequencies(rope_theta).map((frequency, i) => frequency / (scaling.factors[i] as number));
    case 'dynamic': {
      const beyond = Math.max(1, (scaling.factor * positions) / scaling.original - (scaling.factor - 1));
      return frequencies(rope_theta * beyond ** (head_dim / (head_dim - 2)));
    }
    case 'llama3': {
      const { factor, low_freq_factor: low, high_freq_factor: high, original } = scaling;
      return frequencies(rope_theta).map((frequency) => {
        const turns = (original * frequency) / (2 * Math.PI);
        const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)));
        return kept * frequency + (1 - kept) * (frequency / factor);
      });
    }
  }
}
