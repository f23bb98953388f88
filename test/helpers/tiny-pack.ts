import path from 'node:path';
import { surveyModel, writePack } from '../../client/cli/pack/add.js';
import { writeSafetensors, type PackManifest } from '../../model/pack/index.js';
import { PackWriter } from '../../model/pack/write.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { float32 } from '../../model/runtime/tensor.js';
import { fixture } from './fixtures.js';

/** Numbers a frame of the pack's latents. */
export const TINY_LATENT = 8;

/** A pack whose vision half is sizes and a latent map's spread only: enough to be the base of others. */
export async function writeTinyBase(folder: string): Promise<PackManifest> {
  const writer = await PackWriter.create(folder);
  await writer.write('vision.safetensors', writeSafetensors(new Map()));
  await writer.write('latent-map.safetensors', writeSafetensors(new Map([['sigma', float32(new Float32Array(TINY_LATENT).fill(1), [TINY_LATENT])]])));
  await writer.write('LICENSE-eye', 'Apache License');
  return writer.finish({
    id: 'tiny-base',
    feature_space: 'tiny-space-v1',
    licences: [{ part: 'vision tower', licence: 'Apache-2.0', file: 'LICENSE-eye' }],
    sources: [],
    vision: { architecture: 'efficientnet-lite2', size: 260, mean: 127, std: 128, padding: 'same-tf', eps: 0.001, blocks: [{ kernel: 3, stride: 1, in: 32, out: 16, expand: 1 }] },
    latent: { dim: TINY_LATENT, tokens: 2 },
    language: {
      architecture: 'llama', layers: 1, hidden: 32, heads: 2, kv_heads: 1, head_dim: 16, intermediate: 64, vocab: 320,
      rope_theta: 10000, rms_eps: 1e-5, context: 128, bos: 0, eos: 1, tied: true,
    },
    projector: { hidden: 8 },
    prompt: { system: 'Answer.', photo_before: 'Photo: ', photo_after: '\n', video_before: '{n} frames:\n', frame_before: '{t} s: ', frame_after: '\n', max_frames: 4, default_question: 'What?' },
  });
}

/** A whole pack over the tiny base, with a published language model of random weights: it says nothing of sense, and loads and answers at once. */
export async function writeTinyPack(folder: string): Promise<string> {
  const [base, pack] = [path.join(folder, 'tiny-base'), path.join(folder, 'tiny-pack')];
  await writeTinyBase(base);
  const survey = await surveyModel(fixture('language/published/smollm'), { origin: 'smollm', base, licence: 'apache-2.0' });
  try {
    await writePack(survey, pack, { runtime: nodeRuntime({ threads: 1 }), signal: new AbortController().signal, onProgress: () => undefined });
  } finally {
    survey.close();
  }
  return pack;
}
