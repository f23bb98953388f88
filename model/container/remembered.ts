import { dequantise, type QuantisedTensor } from './quantise.js';
import type { Coder } from './types.js';

/**
 * The stored form of arrays that came from a file. Quantising dequantised values a second time could choose other levels; with this, a
 * container that was read and is written again gives the same bytes, and transcoding to another coder keeps every level.
 */
export interface StoredTensor {
  readonly quantised: QuantisedTensor;
  readonly coder: Coder;
}

export interface StoredLatents {
  /** (D) float16 bits. */
  readonly offsets: Uint16Array;
  readonly scales: Uint16Array;
  /** null for a single frame. */
  readonly residual: StoredTensor | null;
}

const tensors = new WeakMap<Float32Array, StoredTensor>();
const latents = new WeakMap<Float32Array, { stored: StoredLatents; values: () => Float32Array }>();

export function rememberTensor(data: Float32Array, stored: StoredTensor): void {
  tensors.set(data, stored);
}

/** The stored form of `data`, unless its values have been changed since. */
export function recallTensor(data: Float32Array): StoredTensor | null {
  const stored = tensors.get(data);
  if (stored === undefined || !sameValues(data, dequantise(stored.quantised))) return null;
  return stored;
}

/** `values` recomputes the latents from `stored`. */
export function rememberLatents(data: Float32Array, stored: StoredLatents, values: () => Float32Array): void {
  latents.set(data, { stored, values });
}

export function recallLatents(data: Float32Array): StoredLatents | null {
  const entry = latents.get(data);
  if (entry === undefined || !sameValues(data, entry.values())) return null;
  return entry.stored;
}

function sameValues(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}
