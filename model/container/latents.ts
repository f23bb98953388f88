import { readBlock, writeBlock, type BlockCoding } from './block.js';
import { ByteReader, ByteWriter, checkLimit } from './bytes.js';
import { malformed } from './errors.js';
import { fromFloat16Bits, toFloat16Bits } from '../runtime/float16.js';
import { MAX_LATENT_ELEMENTS, MAX_LATENT_DIM } from './limits.js';
import { dequantise, quantise } from './quantise.js';
import { recallLatents, rememberLatents, type StoredLatents } from './remembered.js';
import type { Coder } from './types.js';

/** Bits of a latent's residual: at 6 the pictures and the answers of the default pack are those of float latents. */
export const DEFAULT_LATENT_BITS = 6;

/** Columns that hardly move are not scaled up beyond this share of the mean deviation: their noise would cost bits and mean nothing. */
const LEAST_SCALE = 0.02;
/** Nor beyond the rounding of their own float16 offset. */
const OFFSET_PRECISION = 2 ** -10;

export interface LatentsOptions {
  /** undefined: as the file the latents came from has it, or the default. */
  readonly bits: number | undefined;
  readonly coder: Coder | undefined;
}

/**
 * The LATN section of latents (T, D): u32 T, u32 D, (D) float16 offsets (means over time), and for T > 1 (D) float16 scales
 * (deviations over time) and a block of residuals (z - offset) / scale. A single latent is its offset.
 */
export function latentsSection(latents: Float32Array, latentDim: number, options: LatentsOptions): Uint8Array {
  const frames = latents.length / latentDim;
  const known = recallLatents(latents);
  const keep = known !== null && (known.residual === null || options.bits === undefined || options.bits === known.residual.quantised.bits);
  const stored = keep ? known : normalise(latents, latentDim, options.bits ?? DEFAULT_LATENT_BITS);
  const out = new ByteWriter();
  out.u32(frames);
  out.u32(latentDim);
  for (const bits of stored.offsets) out.u16(bits);
  if (stored.residual !== null) {
    for (const bits of stored.scales) out.u16(bits);
    writeBlock(out, stored.residual.quantised, [frames, latentDim], options.coder ?? stored.residual.coder);
  }
  return out.finish();
}

export interface DecodedLatents {
  /** (T, D) */
  readonly latents: Float32Array;
  readonly latentDim: number;
  /** null for a single frame, which has no residuals. */
  readonly coding: BlockCoding | null;
}

/** Reads the aligned numbers of a LATN section of a file whose META names `frames` frames. */
export function readLatents(input: ByteReader, frames: number): DecodedLatents {
  const rows = input.u32();
  const latentDim = input.u32();
  if (rows !== frames) throw malformed(`The LATN section has ${rows} latents, and the META section ${frames} frames.`);
  if (latentDim < 1) throw malformed('The LATN section has latents of no numbers.');
  checkLimit(latentDim, MAX_LATENT_DIM, 'The latent dimension');
  checkLimit(rows * latentDim, MAX_LATENT_ELEMENTS, 'The number of values in the latents');
  const offsets = readHalves(input, latentDim);
  if (frames === 1) {
    return remember({ offsets, scales: new Uint16Array(latentDim), residual: null }, latentDim, frames, null);
  }
  const scales = readHalves(input, latentDim);
  const { tensor, coding } = readBlock(input, [frames, latentDim], 'The latent dictionary');
  return remember({ offsets, scales, residual: { quantised: tensor, coder: coding.coder } }, latentDim, frames, coding);
}

function remember(stored: StoredLatents, latentDim: number, frames: number, coding: BlockCoding | null): DecodedLatents {
  const values = (): Float32Array => denormalise(stored, frames, latentDim);
  const latents = values();
  rememberLatents(latents, stored, values);
  return { latents, latentDim, coding };
}

function readHalves(input: ByteReader, count: number): Uint16Array {
  const bytes = input.bytes(count * 2);
  const halves = Uint16Array.from({ length: count }, (_, i) => (bytes[2 * i] as number) | ((bytes[2 * i + 1] as number) << 8));
  if (halves.some((bits) => (bits & 0x7c00) === 0x7c00)) throw malformed('The LATN section holds an offset or scale that is not finite.');
  return halves;
}

function normalise(latents: Float32Array, latentDim: number, bits: number): StoredLatents {
  const frames = latents.length / latentDim;
  const mean = new Float64Array(latentDim);
  const square = new Float64Array(latentDim);
  forEachValue(latents, latentDim, (value, _, column) => (mean[column] = (mean[column] as number) + value / frames));
  const offsets = Uint16Array.from(mean, (value) => toFloat16Bits(value));
  if (offsets.some((half) => (half & 0x7c00) === 0x7c00)) {
    throw malformed('The latents hold a value that is not finite or above 65,504; they cannot be stored.');
  }
  if (frames === 1) return { offsets, scales: new Uint16Array(latentDim), residual: null };
  forEachValue(latents, latentDim, (value, _, column) => {
    square[column] = (square[column] as number) + (value - (mean[column] as number)) ** 2 / frames;
  });
  const typical = Math.sqrt(square.reduce((sum, value) => sum + value, 0) / latentDim);
  const scales = Uint16Array.from(square, (variance, column) => {
    const floor = Math.max(LEAST_SCALE * typical, OFFSET_PRECISION * Math.abs(mean[column] as number), 2 ** -14);
    return toFloat16Bits(Math.min(65_504, Math.max(Math.sqrt(variance), floor)));
  });
  const residual = new Float32Array(latents.length);
  const offset = Float64Array.from(offsets, fromFloat16Bits);
  const scale = Float64Array.from(scales, fromFloat16Bits);
  forEachValue(latents, latentDim, (value, at, column) => (residual[at] = (value - (offset[column] as number)) / (scale[column] as number)));
  return { offsets, scales, residual: { quantised: quantise(residual, bits, 'The latent dictionary'), coder: 'range' } };
}

/** z = offset + scale x residual, in double precision, rounded to float32. */
function denormalise(stored: StoredLatents, frames: number, latentDim: number): Float32Array {
  const offset = Float64Array.from(stored.offsets, fromFloat16Bits);
  if (stored.residual === null) return Float32Array.from(offset);
  const scale = Float64Array.from(stored.scales, fromFloat16Bits);
  const residual = dequantise(stored.residual.quantised);
  const latents = new Float32Array(frames * latentDim);
  forEachValue(residual, latentDim, (value, at, column) => (latents[at] = (offset[column] as number) + (scale[column] as number) * value));
  return latents;
}

function forEachValue(matrix: Float32Array, columns: number, visit: (value: number, at: number, column: number) => void): void {
  for (let at = 0; at < matrix.length; ) {
    for (let column = 0; column < columns; column++, at++) visit(matrix[at] as number, at, column);
  }
}
