/** A program: times the processor and WebGPU on convolutions and products like the networks', and prints what it found as JSON. */
import { Graph, ops, type Value } from '../graph/index.js';
import type { Device } from './device-choice.js';
import type { DeviceTrial } from './device.node.js';
import { nodeRuntime } from './node.node.js';
import { seededRandom } from './random.js';
import { float32, sizeOf } from './tensor.js';

const SIDE = 48;
const CHANNELS = 96;
const RUNS = 5;

/** A picture of 1 x CHANNELS x SIDE x SIDE through pointwise and 3 x 3 convolutions. */
function network(): Uint8Array {
  const random = seededRandom(1);
  const graph = new Graph('device-trial');
  const weight = (name: string, dims: readonly number[]): Value =>
    graph.initializer(name, float32(Float32Array.from({ length: sizeOf(dims) }, () => random() - 0.5), dims));
  let x = graph.input('x', 'float32', [1, CHANNELS, SIDE, SIDE]);
  for (let layer = 0; layer < 4; layer++) {
    const kernel = layer % 2 === 0 ? 1 : 3;
    const margin = (kernel - 1) / 2;
    const filters = weight(`w${layer}`, [CHANNELS, CHANNELS, kernel, kernel]);
    x = ops.relu(ops.conv2d(x, filters, null, { pads: [margin, margin, margin, margin] }));
  }
  graph.output('y', ops.reduceMean(x, [2, 3], false));
  return graph.toOnnx();
}

async function median(device: Device, model: Uint8Array): Promise<number> {
  const session = await nodeRuntime({ device, fallback: false }).createSession(model);
  const x = float32(new Float32Array(CHANNELS * SIDE * SIDE).fill(0.5), [1, CHANNELS, SIDE, SIDE]);
  // The first run compiles.
  await session.run({ x });
  const times: number[] = [];
  for (let run = 0; run < RUNS; run++) {
    const begun = performance.now();
    await session.run({ x });
    times.push(performance.now() - begun);
  }
  await session.release();
  return times.sort((a, b) => a - b)[RUNS >> 1] as number;
}

const model = network();
const cpu_ms = await median('cpu', model);
const trial: DeviceTrial = await median('webgpu', model).then(
  (webgpu_ms) => ({ cpu_ms, webgpu_ms, reason: null }),
  (error: unknown) => ({ cpu_ms, webgpu_ms: null, reason: firstLine(error) }),
);
process.stdout.write(`${JSON.stringify(trial)}\n`);

function firstLine(error: unknown): string {
  const line = (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
  // ONNX Runtime puts its own file and line before what Dawn, which implements WebGPU, says.
  return line.replace(/^.* was false\. /, '').slice(0, 300);
}
