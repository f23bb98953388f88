/** The update of a matrix from its gradient's two factors, against the same update written out over the whole matrix. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adamRate, factoredStep, Graph, type Value } from '../../model/graph/index.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { normal, seededRandom } from '../../model/runtime/random.js';
import { asFloat32, float32, scalar, type HostTensor } from '../../model/runtime/tensor.js';

const [FRAMES, ROWS, COLUMNS] = [3, 4, 5];
const [BETA1, BETA2] = [0.9, 0.99];
const PARTS = { parameters: [ROWS, COLUMNS], momentum: [ROWS, COLUMNS], rows: [ROWS], columns: [COLUMNS] } as const;

test('a factored step moves each number by its momentum, scaled by its row and its column', async () => {
  const graph = new Graph('step');
  const input = (name: keyof typeof PARTS): Value => graph.input(name, 'float32', PARTS[name]);
  const left = graph.input('left', 'float32', [FRAMES, ROWS]);
  const right = graph.input('right', 'float32', [FRAMES, COLUMNS]);
  const { state } = factoredStep({ parameters: input('parameters'), momentum: input('momentum'), rows: input('rows'), columns: input('columns') }, left, right, graph.input('rate', 'float32', []));
  for (const [name, value] of Object.entries<Value>({ ...state })) graph.output(`${name}_out`, value);
  const session = await nodeRuntime({ threads: 1 }).createSession(graph.toOnnx());

  const random = seededRandom(5);
  const draw = (...dims: number[]): HostTensor => float32(Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => normal(random)), dims);
  const held: Record<string, HostTensor> = Object.fromEntries(Object.entries(PARTS).map(([name, dims]) => [name, float32(new Float32Array(dims.reduce((a: number, b) => a * b, 1)), dims)]));
  const weights = new Float64Array(ROWS * COLUMNS);
  const moved = new Float64Array(ROWS * COLUMNS);
  const rowMoments = new Float64Array(ROWS);
  const columnMoments = new Float64Array(COLUMNS);
  for (let step = 1; step <= 4; step++) {
    const rate = adamRate(0.1, step);
    const factors = { left: draw(FRAMES, ROWS), right: draw(FRAMES, COLUMNS) };
    const results = await session.run({ ...held, ...factors, rate: scalar(rate) });
    for (const name of Object.keys(PARTS)) held[name] = results[`${name}_out`] as HostTensor;

    const [l, r] = [asFloat32(factors.left), asFloat32(factors.right)];
    const at = (values: Float32Array, frame: number, i: number, size: number): number => values[frame * size + i] as number;
    const frames = [...Array(FRAMES).keys()];
    for (let i = 0; i < ROWS; i++) rowMoments[i] = BETA2 * rowMoments[i]! + frames.reduce((sum, f) => sum + at(l, f, i, ROWS) ** 2, 0);
    for (let j = 0; j < COLUMNS; j++) {
      const power = (f: number): number => [...Array(ROWS).keys()].reduce((sum, i) => sum + at(l, f, i, ROWS) ** 2, 0) / ROWS;
      columnMoments[j] = BETA2 * columnMoments[j]! + frames.reduce((sum, f) => sum + power(f) * at(r, f, j, COLUMNS) ** 2, 0);
    }
    const meanRow = rowMoments.reduce((a, b) => a + b) / ROWS;
    for (let i = 0; i < ROWS; i++) {
      for (let j = 0; j < COLUMNS; j++) {
        const gradient = frames.reduce((sum, f) => sum + at(l, f, i, ROWS) * at(r, f, j, COLUMNS), 0);
        const k = i * COLUMNS + j;
        moved[k] = BETA1 * moved[k]! + (rate * gradient) / Math.sqrt((rowMoments[i]! / meanRow) * columnMoments[j]!);
        weights[k]! -= moved[k]!;
      }
    }
  }
  asFloat32(held['parameters'] as HostTensor).forEach((value, k) => assert.ok(Math.abs(value - weights[k]!) < 1e-4, `number ${k}: ${value}, expected ${weights[k]}`));
  await session.release();
});
