/** A decoder's matrices as the tensors of a pack's files: what `readDecoderWeights` reads. */
import { decodeFloat16, encodeFloat16 } from '../runtime/float16.js';
import type { HostTensor } from '../runtime/tensor.js';
import { BLOCK, toQ8, type Matrix } from './matrix.js';
import { LINEARS, type LayerWeights } from './weights.js';

type Named = readonly [string, HostTensor];

/** Norms and blocks of one layer. @throws RangeError for matrices in float32, which packs do not hold */
export function layerTensors(index: number, layer: LayerWeights): Named[] {
  const vector = (name: string, data: Float32Array): Named => [`layers.${index}.${name}`, { dtype: 'float32', dims: [data.length], data }];
  return [
    vector('attention_norm', layer.attentionNorm),
    vector('mlp_norm', layer.mlpNorm),
    ...LINEARS.flatMap((name) => matrixTensors(`layers.${index}.${name}`, layer.linears[name].base)),
  ];
}

function matrixTensors(key: string, matrix: Matrix): Named[] {
  if (matrix.form === 'float32') throw new RangeError(`${key} is float32; a pack holds blocks of 4 or 8 bits`);
  const blocks = matrix.in / BLOCK;
  const scale: Named = [`${key}.scale`, shortest(matrix.scale, [matrix.out, blocks])];
  if (matrix.form === 'q8') return [[`${key}.q8`, { dtype: 'uint8', dims: [matrix.out, blocks, BLOCK], data: matrix.q8 }], scale];
  const q4: Named = [`${key}.q4`, { dtype: 'uint8', dims: [matrix.out, blocks, BLOCK / 2], data: matrix.q4 }];
  return matrix.min === null ? [q4, scale] : [q4, scale, [`${key}.min`, shortest(matrix.min, [matrix.out, blocks])]];
}

/** A matrix of the vocabulary, `embed` or `head`: int8 around 0. */
export function tableTensors(name: string, matrix: Matrix): Named[] {
  const { q8, scale } = toQ8(matrix);
  const signed = new Int8Array(q8.length);
  for (let i = 0; i < q8.length; i++) signed[i] = (q8[i] as number) - 128;
  const { out, in: columns } = matrix;
  return [
    [`${name}.q8`, { dtype: 'int8', dims: [out, columns], data: signed }],
    [`${name}.scale`, shortest(scale, [out, columns / BLOCK])],
  ];
}

/** Halves where these say every number exactly, as scales read from GGUF's are; else float32: a scale is not rounded a second time. */
function shortest(values: Float32Array, dims: readonly number[]): HostTensor {
  const bits = encodeFloat16(values);
  const exact = decodeFloat16(bits).every((value, i) => value === values[i]);
  return exact ? { dtype: 'float16', dims, data: bits } : { dtype: 'float32', dims, data: values };
}
