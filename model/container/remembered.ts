import type { QuantisedTensor } from './quantise.js';
import type { Coder } from './types.js';

/**
 * The stored form of latents that came from a file. Quantising dequantised values a second time could choose other levels; with this, a
 * container that was read and is written again gives the same bytes, and transcoding to another coder keeps every level.
 */
export interface StoredLatents {
  /** (D) float16 bits. */
  readonly offsets: Uint16Array;
  readonly scales: Uint16Array;
  /** null for a single frame. */
  readonly residual: { readonly quantised: QuantisedTensor; readonly coder: Coder } | null;
}

const latents = new WeakMap<Float32Array, { stored: StoredLatents; values: () => Float32Array }>();

/** `values` recomputes the latents from `stored`. */
export function rememberLatents(data: Float32Array, stored: StoredLatents, values: () => Float32Array): void {
  latents.set(data, { stored, values });
}

/** The stored form of `data`, unless its values have been changed since. */
export function recallLatents(data: Float32Array): StoredLatents | null {
  const entry = latents.get(data);
  if (entry === undefined || !sameValues(data, entry.values())) return null;
  return entry.stored;
}

function sameValues(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}
