/** What is recognized in latents, by a map of three classes over latents of two numbers. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ModelPack, PackError, writeSafetensors, type PackManifest } from '../../model/pack/index.js';
import { encodeFloat16 } from '../../model/runtime/float16.js';
import { Concepts } from '../../projector/concepts.js';

const NAMES = { names: ['spaniel', 'terrier', 'guitar'], kinds: { dog: [0, 1] } };

/** Scores are 10 times the first number for the two dogs' and the second for the guitar's. */
function weights(): Uint8Array {
  const weight = encodeFloat16(Float32Array.of(10, 10, 0, 0, 0, 10));
  const bias = encodeFloat16(new Float32Array(3));
  return writeSafetensors(new Map([
    ['weight', { dtype: 'float16', dims: [2, 3], data: weight }],
    ['bias', { dtype: 'float16', dims: [3], data: bias }],
  ]));
}

function packOf(names: unknown): ModelPack {
  const files = new Map([['concepts.safetensors', weights()], ['concepts.json', Buffer.from(JSON.stringify(names))]]);
  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
  const manifest = {
    files: Object.fromEntries([...files].map(([name, bytes]) => [name, { sha256: sha256(bytes), bytes: bytes.byteLength }])),
    latent: { dim: 2, tokens: 1 },
    concepts: { sure: 0.6, kind_sure: 0.7, most: 2 },
  } as unknown as PackManifest;
  return new ModelPack(manifest, {
    where: 'a test',
    read: (name) => Promise.resolve(files.get(name) as Uint8Array),
    sha256: (bytes) => Promise.resolve(sha256(bytes)),
  });
}

test('a class that is likely enough is named, with its mean probability over the frames', async () => {
  const concepts = await Concepts.load(packOf(NAMES));
  assert.ok(concepts);
  const [guitar, ...others] = concepts.recognized(Float32Array.of(0, 1, 0, 1));
  assert.equal(guitar?.name, 'guitar');
  assert.ok(Math.abs((guitar?.probability ?? 0) - 1) < 1e-3);
  assert.deepEqual(others, []);
});

test('where classes of one kind share the probability, the kind is named', async () => {
  const concepts = await Concepts.load(packOf(NAMES));
  assert.deepEqual(concepts?.recognized(Float32Array.of(1, 0)).map(({ name }) => name), ['dog']);
});

test('frames that show different things leave nothing that is sure', async () => {
  const concepts = await Concepts.load(packOf(NAMES));
  assert.deepEqual(concepts?.recognized(Float32Array.of(1, 0, 0, 1)), []);
});

test('names that do not fit the map are refused by the file that holds them', async () => {
  await assert.rejects(Concepts.load(packOf({ names: [] })), (error) => error instanceof PackError && error.message.includes('concepts.json'));
  await assert.rejects(Concepts.load(packOf({ ...NAMES, kinds: { dog: [7] } })), (error) => error instanceof PackError && error.message.includes('dog'));
});
