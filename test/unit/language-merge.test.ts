/** Adapters merged into 8-bit blocks by a graph, against the same sums in plain loops. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLOCK, dequantize, quantize, type BlockBits, type Matrix } from '../../model/language/matrix.js';
import { mergeLayers } from '../../model/language/merge.js';
import { LINEARS, linearShape, type Adapter, type DecoderWeights, type Linear, type LinearName } from '../../model/language/weights.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { normal, seededRandom } from '../../model/runtime/random.js';
import { tinyWeights } from '../helpers/tiny-llama.js';

const RANK = 3;
const random = seededRandom(7);
const draw = (count: number): Float32Array => Float32Array.from({ length: count }, () => normal(random));

function randomLinear(config: DecoderWeights['config'], name: LinearName, base: (values: Float32Array, out: number, columns: number) => Matrix, adapted: boolean): Linear {
  const shape = linearShape(config, name);
  const values = draw(shape.out * shape.in);
  values.fill(0, 0, BLOCK);
  return { base: base(values, shape.out, shape.in), adapter: adapted ? { rank: RANK, a: draw(shape.in * RANK).fill(0, 0, BLOCK * RANK), b: draw(RANK * shape.out) } : null };
}

/** base + (a b)^T */
function sumOf({ base, adapter }: Linear): Float32Array {
  const values = dequantize(base).slice();
  if (adapter === null) return values;
  const { a, b }: Adapter = adapter;
  for (let n = 0; n < base.out; n++) {
    for (let k = 0; k < base.in; k++) {
      for (let r = 0; r < RANK; r++) values[n * base.in + k]! += (a[k * RANK + r] as number) * (b[r * base.out + n] as number);
    }
  }
  return values;
}

/** 4-bit blocks with minima of their own, as Q4_1 has them. */
function withMinima(values: Float32Array, out: number, columns: number): Matrix {
  const matrix = quantize(values, out, columns, 4);
  assert.equal(matrix.form, 'q4');
  return { ...matrix, min: matrix.scale.map((d) => -6.5 * d) } as Matrix;
}

const rounded = (bits: BlockBits) => (values: Float32Array, out: number, columns: number): Matrix => quantize(values, out, columns, bits);

for (const [form, base] of Object.entries({ float32: rounded(null), '8-bit': rounded(8), '4-bit': rounded(4), '4-bit with minima': withMinima })) {
  for (const adapted of [true, false]) {
    test(`${form} blocks ${adapted ? 'with an adapter' : 'alone'} become the 8-bit blocks of their sum`, async () => {
      const tiny = await tinyWeights(false);
      const linears = Object.fromEntries(LINEARS.map((name) => [name, randomLinear(tiny.config, name, base, adapted)])) as Record<LinearName, Linear>;
      const [layer] = await mergeLayers({ ...tiny, layers: [{ ...tiny.layers[0]!, linears }] }, nodeRuntime({ threads: 1 }));
      for (const name of LINEARS) {
        const sum = sumOf(linears[name]);
        const merged = layer![name];
        const { base: stored } = linears[name];
        // Blocks whose numbers 8-bit ones can say are kept, their steps too.
        const exact = !adapted && (stored.form === 'q8' || (stored.form === 'q4' && stored.min === null));
        const values = dequantize(merged);
        for (let block = 0; block < merged.scale.length; block++) {
          const inside = sum.subarray(block * BLOCK, (block + 1) * BLOCK);
          const largest = inside.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          const step = merged.scale[block] as number;
          assert.ok(exact || Math.abs(step - largest / 127) <= 1e-5 * step + 1e-30, `${name}: step ${step}, largest ${largest}`);
          for (const [i, value] of inside.entries()) {
            const error = Math.abs((values[block * BLOCK + i] as number) - value);
            assert.ok(error <= (exact ? 1e-6 * largest : step * 0.5001), `${name}, block ${block}: ${error} off, step ${step}`);
          }
        }
      }
    });
  }
}
