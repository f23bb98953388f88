/** Video-LLaMA's visual branch against the numbers its own code computed on small random weights (test/fixtures/vision/video-llama). */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Graph, gradients, ops, ParameterLayout, type Value } from '../../model/graph/index.js';
import { prefixed, readSafetensors, TensorFileError, writeSafetensors, type TensorFile } from '../../model/pack/index.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { asFloat32, float32, type HostTensor } from '../../model/runtime/tensor.js';
import { storedWeights, trainedWeights, weightSpecs } from '../../model/vision/layers.js';
import { StagedNetwork, type Step } from '../../model/vision/stages.js';
import { videoLlamaConfig, videoLlamaPart, videoLlamaSteps, videoLlamaVitSteps } from '../../model/vision/video-llama.js';
import { videoLlamaProjector, videoQFormer } from '../../projector/video-llama.js';
import { fixture } from '../helpers/fixtures.js';

const read = (name: string): TensorFile => readSafetensors(readFileSync(fixture(`vision/video-llama/${name}`)), name);
const weights = read('weights.safetensors');
const expected = read('expected.safetensors');
const config = videoLlamaConfig(JSON.parse(readFileSync(fixture('vision/video-llama/config.json'), 'utf8')) as Record<string, number>);
const runtime = nodeRuntime({ threads: 1 });
const pixels = expected.get('pixels', [3, 3, 28, 28]);

function close(ours: Float32Array, name: string, tolerance = 1e-4): void {
  const theirs = asFloat32(expected.get(name));
  assert.equal(ours.length, theirs.length);
  const worst = ours.reduce((most, value, i) => Math.max(most, Math.abs(value - (theirs[i] ?? NaN))), 0);
  assert.ok(worst <= tolerance, `${name}: off by ${worst}`);
}

async function run(steps: Step[], most?: number): Promise<Float32Array> {
  const input = { dtype: 'float32' as const, dims: ['N', 3, 28, 28] };
  const network = await StagedNetwork.load('test', steps, input, weights, runtime, most === undefined ? {} : { most });
  const result = await network.run(pixels);
  await network.release();
  return result;
}

test('the ViT with its norm gives the tokens of the original code', async () => {
  close(await run(videoLlamaVitSteps(config)), 'vit');
});

test('ViT, norm and Q-Former give the frames\' query tokens of the original code', async () => {
  close(await run(videoLlamaSteps(config)), 'qformer');
});

test('cut into a graph for every step, the network gives the same', async () => {
  close(await run(videoLlamaSteps(config), 1), 'qformer');
});

/** The graph of what `build` makes of the fixture's frame tokens. */
async function ofFrames(build: (frames: Value, weights: ReturnType<typeof storedWeights>) => Value): Promise<Float32Array> {
  const graph = new Graph('projector');
  const frames = graph.input('frames', 'float32', [3, 5, 48]);
  graph.output('out', build(frames, storedWeights(graph, weights)));
  const session = await runtime.createSession(graph.toOnnx());
  const { out } = await session.run({ frames: expected.get('qformer') });
  return asFloat32(out as HostTensor);
}

test('the video Q-Former gives the video tokens of the original code', async () => {
  close(await ofFrames((frames, source) => videoQFormer(config, frames, source)), 'video_qformer');
});

test('the projector gives the language-model tokens of the original code', async () => {
  close(await ofFrames((frames, source) => videoLlamaProjector(config, frames, source)), 'llama_proj');
});

test('more frames than positions are refused', () => {
  const graph = new Graph('projector');
  assert.throws(() => videoQFormer(config, graph.input('frames', 'float32', [9, 5, 48]), storedWeights(graph, weights)), /9 frames, positions were learned for 8/);
});

test('the projector can be trained: its gradient agrees with finite differences along random directions', async () => {
  const dims = [3, 5, 48];
  const specs = weightSpecs((graph, source) => videoLlamaProjector(config, graph.input('frames', 'float32', dims), source));
  assert.deepEqual(specs.map(({ name }) => name).sort(), weights.names().filter((name) => /^(video_|llama_proj)/.test(name)).sort(), 'the network names all of its weights');
  const layout = new ParameterLayout(specs);
  const flat = new Float32Array(layout.size);
  for (const { name, dims: shape } of specs) layout.view(flat, name).set(asFloat32(weights.get(name, shape)));

  const graph = new Graph('training');
  const parameters = graph.parameter('parameters', [layout.size]);
  const frames = graph.input('frames', 'float32', dims);
  const tokens = videoLlamaProjector(config, frames, trainedWeights(layout.unflatten(parameters)));
  const target = ops.constant(graph, float32(Float32Array.from({ length: ops.elementCount(tokens) }, (_, i) => Math.sin(i)), tokens.dims as number[]));
  const loss = ops.reduceMean(ops.square(ops.sub(tokens, target)), null, false);
  graph.output('loss', loss);
  gradients(loss, [parameters, frames]).forEach((gradient, i) => graph.output(`gradient${i}`, gradient));
  const session = await runtime.createSession(graph.toOnnx());
  const at = (values: Float32Array): Promise<Record<string, HostTensor>> => session.run({ parameters: float32(values, [layout.size]), frames: expected.get('qformer') });
  const { gradient0 } = await at(flat);
  const gradient = asFloat32(gradient0 as HostTensor);
  for (const frequency of [0.7, 1.9]) {
    const direction = Float32Array.from(flat, (_, i) => Math.sin(frequency * i));
    const lossAt = async (step: number): Promise<number> => asFloat32((await at(flat.map((value, i) => value + step * (direction[i] as number))))['loss'] as HostTensor)[0] as number;
    const h = 1e-3;
    const slope = ((await lossAt(h)) - (await lossAt(-h))) / (2 * h);
    const predicted = gradient.reduce((sum, value, i) => sum + value * (direction[i] as number), 0);
    assert.ok(Math.abs(slope - predicted) < 0.01 * Math.max(Math.abs(predicted), 0.05), `slope ${slope}, gradient ${predicted}`);
  }
});

test('the published files are told apart by their tensors and read under the names of the branch', () => {
  const copy = (names: string[], rename: (name: string) => string): TensorFile =>
    readSafetensors(writeSafetensors(new Map(names.map((name) => [rename(name), weights.get(name)]))), 'part');
  const all = weights.names();
  const vit = videoLlamaPart(copy(all.filter((name) => name.startsWith('visual_encoder.')), (name) => name.slice('visual_encoder.'.length)));
  const blip = videoLlamaPart(copy(all.filter((name) => /^(Qformer|query_tokens|ln_vision)/.test(name)), (name) => `model.${name}`));
  const video = videoLlamaPart(copy(all.filter((name) => /^(video_|llama_proj)/.test(name)), (name) => `model.${name}`));
  assert.ok(vit && blip && video);
  assert.deepEqual([...vit.names(), ...blip.names(), ...video.names()].sort(), [...all].sort());
  assert.deepEqual(vit.get('visual_encoder.pos_embed', [1, 5, 64]), weights.get('visual_encoder.pos_embed'));
  assert.deepEqual(blip.get('query_tokens', [1, 5, 48]), weights.get('query_tokens'));
  assert.equal(vit.has('query_tokens'), false);
  assert.equal(videoLlamaPart(copy(['llama_proj.bias'], (name) => name)), null);
});

test('a missing tensor, and one of another shape, are named with what was expected and found', async () => {
  const network = (file: TensorFile): Promise<StagedNetwork> => StagedNetwork.load('test', videoLlamaSteps(config), { dtype: 'float32', dims: ['N', 3, 28, 28] }, file, runtime);
  await assert.rejects(network(prefixed(weights, 'x.')), (error) => error instanceof TensorFileError && /has no tensor "x?\.?visual_encoder\.patch_embed\.proj\.weight"|"x\.visual_encoder/.test(error.message));
  const wrong = new Map(weights.names().map((name) => [name, weights.get(name)]));
  wrong.set('Qformer.bert.encoder.layer.2.crossattention.self.key.weight', float32(new Float32Array(48 * 63), [48, 63]));
  await assert.rejects(
    network(readSafetensors(writeSafetensors(wrong), 'wrong.safetensors')),
    /wrong\.safetensors: tensor "Qformer\.bert\.encoder\.layer\.2\.crossattention\.self\.key\.weight" has shape \[48, 63\], expected \[48, 64\]/,
  );
});
