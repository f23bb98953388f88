/** A program: a frame of the demo, its latent, and a training state after three steps, on the device that is named; as JSON on standard output. */
import { readFile } from 'node:fs/promises';
import { ADAM_DEFAULTS, adamRate, adamStep, gradients, Graph, ops, ParameterLayout, type Value } from '../../model/graph/index.js';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { openPack } from '../../model/pack/open.node.js';
import type { Device } from '../../model/runtime/device-choice.js';
import { prepareInPlace, runInPlace } from '../../model/runtime/in-place.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { float32, scalar } from '../../model/runtime/tensor.js';
import { VisionTower } from '../../model/vision/index.js';

const [device, container] = process.argv.slice(2) as [Device, string];
const fallbacks: string[] = [];
const runtime = nodeRuntime({ device, onFallback: (reason) => fallbacks.push(reason) });

const decoder = new LinrDecoder(await readFile(container), runtime);
const frame = await decoder.frame(5);
await decoder.release();
const tower = await VisionTower.load(await openPack(), runtime);
const latent = tower.latents(await tower.features([frame]));
await tower.release();
process.stdout.write(JSON.stringify({ fallbacks, pixels: [...frame.data], latent: [...latent], trained: [...(await trained())] }));

/** Parameters of a product after three steps of Adam, in place. */
async function trained(): Promise<Float32Array> {
  const layout = new ParameterLayout([{ name: 'w', dims: [8, 4] }]);
  const graph = new Graph('training');
  const [parameters, first, second] = ['parameters', 'first', 'second'].map((name) => graph.input(name, 'float32', [layout.size])) as [Value, Value, Value];
  const weight = layout.unflatten(parameters).get('w');
  if (weight === undefined) throw new Error('the layout has no w');
  const loss = ops.sumOfSquares(ops.sub(ops.matmul(graph.input('x', 'float32', [16, 8]), weight), graph.input('y', 'float32', [16, 4])));
  const [gradient] = gradients(loss, [parameters]);
  if (!gradient) throw new Error('there is no gradient');
  const next = adamStep({ parameters, first, second }, gradient, graph.input('rate', 'float32', []), ADAM_DEFAULTS);
  graph.output('parameters_out', next.parameters);
  graph.output('first_out', next.first);
  graph.output('second_out', next.second);
  const session = await runtime.createSession(prepareInPlace(graph.toOnnx()));
  const numbers = (count: number, phase: number): Float32Array => Float32Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + phase));
  const held = { parameters: numbers(32, 0), first: new Float32Array(32), second: new Float32Array(32) };
  const tensors = Object.entries(held).map(([name, data]) => [name, float32(data, [32])] as const);
  for (let step = 1; step <= 3; step++) {
    const feeds = { ...Object.fromEntries(tensors), x: float32(numbers(128, 1), [16, 8]), y: float32(numbers(64, 2), [16, 4]), rate: scalar(adamRate(0.1, step)) };
    await runInPlace(session, feeds, Object.fromEntries(tensors.map(([name, tensor]) => [`${name}_out`, tensor])));
  }
  await session.release();
  return held.parameters;
}
