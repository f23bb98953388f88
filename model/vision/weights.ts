/** Weights as the pack stores them, to float32: what the CPU computes in. */
import type { TensorFile } from '../pack/index.js';
import { decodeFloat16 } from '../runtime/float16.js';

/**
 * A tensor of float32 or float16 numbers. Beside a float16 `X.weight` may lie `X.residual`, int8 of the same shape, and
 * `X.residual_scale`, one float32 for each of the first axis: the number is then half + scale * residual. That keeps 18
 * bits in 3 bytes. With halves alone the tower's logits move by up to 0.04, with the residual by 0.0002.
 *
 * @throws SafetensorsError naming the tensor that is missing or not of shape `dims`; TypeError for whole numbers.
 */
export function readWeight(tensors: TensorFile, name: string, dims: readonly number[]): Float32Array {
  const { data, dtype } = tensors.get(name, dims);
  if (data instanceof Float32Array) return data;
  if (!(data instanceof Uint16Array)) throw new TypeError(`${name} must hold float32 or float16 numbers, got ${dtype}`);
  const values = decodeFloat16(data);
  const residualName = name.replace(/weight$/, 'residual');
  if (residualName === name || !tensors.has(residualName)) return values;
  const residual = tensors.get(residualName, dims).data;
  const scales = tensors.get(`${residualName}_scale`, dims.slice(0, 1)).data;
  if (!(residual instanceof Int8Array && scales instanceof Float32Array)) {
    throw new TypeError(`${residualName} must be int8 and ${residualName}_scale float32`);
  }
  const rowLength = values.length / scales.length;
  for (let row = 0, i = 0; row < scales.length; row++) {
    const scale = scales[row] as number;
    for (const end = i + rowLength; i < end; i++) values[i] = (values[i] as number) + (residual[i] as number) * scale;
  }
  return values;
}
