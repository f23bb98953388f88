/** How finely a container stores each tensor. Training rounds to the same levels at its end, so that storing changes nothing. */
import type { TensorLevels } from '../container/index.js';
import { isBasis } from './network.js';

/**
 * Distance between the levels of a tensor: a power of two, so that the stored bounds of the levels are exact in float32. Grids
 * are most of a file, and their network makes up for coarse levels by growing their values where it pays. Weights act on every
 * patch of every frame and are few: on Big Buck Bunny at 320 x 160, 1/1024 instead of 1/128 gave 0.7 dB for 1 % of the bytes.
 */
export function quantisationStep(name: string): number {
  if (name.startsWith('grid') || isBasis(name)) return 1 / 32;
  return name.startsWith('basis.') || name.includes('.hyper') ? 1 / 128 : 1 / 1024;
}

/** Bits of tensors that are measured, not trained: those of fixedSpecs (network.ts), and the filters of enlarge.ts. */
const FIXED_BITS = 8;
const FILTER_BITS = 12;

/** Of a network trained with rounded tensors: `trained` tells which those are. */
export function steppedLevels(trained: ReadonlySet<string>): (name: string) => TensorLevels {
  return (name) => (trained.has(name) ? { step: quantisationStep(name) } : { bits: name.startsWith('enlarge.') ? FILTER_BITS : FIXED_BITS });
}
