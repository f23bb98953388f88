/**
 * NVP and NIRVANA, the peers that do not draw a frame from a code: they learn, and their files draw what was trained.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { onCanvas } from '../../client/peers/canvas.js';
import type { NeuralCodec, TrainedCodec } from '../../client/peers/codec.js';
import { measureCodec } from '../../client/peers/measure.js';
import { nirvana, nirvanaOfBytes } from '../../client/peers/nirvana-codec.js';
import { nvp, nvpAsPublished, nvpOfBytes } from '../../client/peers/nvp-codec.js';
import type { PeerVideo } from '../../client/peers/peer.js';
import { decodeNetwork } from '../../model/container/index.js';
import { psnr } from '../../model/inr/quality.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { TestFolder } from '../helpers/folder.js';
import { movingPicture } from '../helpers/videos.js';

const runtime = nodeRuntime({ threads: 1 });
/** Neither side is whole patches. */
const VIDEO: PeerVideo = { width: 94, height: 44, frames: 4 };
const FRAMES = Array.from({ length: VIDEO.frames }, (_, t) => movingPicture(3 * t, VIDEO.width, VIDEO.height));
const MEAN = FRAMES[0]?.map((_, i) =>
  Math.round(FRAMES.reduce((sum, frame) => sum + (frame[i] as number), 0) / FRAMES.length),
) as Uint8Array;
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** A clock that moves by a second whenever it is asked: trainings by it make as many steps on every machine. */
function stepClock(): () => number {
  let asked = 0;
  return () => asked++;
}
/**
 * Seconds of that clock that a step takes: it is asked whether time is left, what part of it is over, and once for the
 * progress.
 */
const STEP_S = 3;

interface Trained extends TrainedCodec {
  /** Mean squared error of each step as PSNR, in dB. */
  readonly progress: readonly number[];
}

async function trained(codec: NeuralCodec, steps: number, frames = FRAMES): Promise<Trained> {
  const progress: number[] = [];
  const done = await codec.train(runtime, frames, steps * STEP_S, {
    clock: stepClock(),
    onProgress: ({ psnr_db }) => void progress.push(psnr_db),
  });
  return { ...done, progress };
}

async function drawn(codec: NeuralCodec, file: Uint8Array, moments: readonly number[]): Promise<Uint8Array[]> {
  const decoder = await codec.open(file, runtime);
  const frames: Uint8Array[] = [];
  for (const moment of moments) frames.push(await decoder.frame(moment));
  await decoder.release();
  return frames;
}

const WHOLE = FRAMES.map((_, t) => t);

describe('NVP', () => {
  const codec = nvp(VIDEO, { levels: 4, side: 16 });
  let made: Trained;
  before(async () => {
    made = await trained(codec, 160);
  });

  test('learns a clip better than its mean frame, and its file shows about what was trained', async () => {
    const shown = (await drawn(codec, made.file, WHOLE)).map((frame, t) => psnr(frame, FRAMES[t] as Uint8Array));
    const late = mean(made.progress.slice(-20));
    const still = mean(FRAMES.map((frame) => psnr(MEAN, frame)));
    assert.ok(mean(shown) > still + 2, `${mean(shown).toFixed(2)} dB, the mean frame has ${still.toFixed(2)} dB`);
    assert.ok(
      Math.abs(mean(shown) - late) < 1,
      `${mean(shown).toFixed(2)} dB from the file, ${late.toFixed(2)} dB in training`,
    );
    assert.ok(Math.min(...shown) > mean(shown) - 3, 'every frame is drawn, the last rows of each too');
  });

  test('trains each of its tensors', () => {
    const { tensors } = decodeNetwork(made.file);
    for (const [name, { data }] of tensors) {
      const largest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      assert.ok(largest > (name.endsWith('bias') ? 1e-4 : 1e-3), `${name} has grown to ${largest}`);
    }
    assert.equal(
      [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0),
      codec.numbers,
    );
  });

  test('blends the slices of its grids between two frames', async () => {
    const [first, middle, second] = (await drawn(codec, made.file, [1, 1.5, 2])) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    assert.notDeepEqual(middle, first);
    assert.notDeepEqual(middle, second);
    const nearer = await drawn(codec, made.file, [1.01]);
    assert.ok(
      psnr(nearer[0] as Uint8Array, first) > psnr(middle, first) + 3,
      'a moment just after a frame looks like it',
    );
  });

  test('has as many numbers as a file of a size wants, or a pixel of the published model has', () => {
    const video = { width: 320, height: 160, frames: 66 };
    assert.match(nvpAsPublished(video).name, /^NVP, 6 levels to 72, 66 x 47 x 47$/);
    assert.match(nvpAsPublished(video, 10).name, /^NVP, 10 levels to 239, 66 x 47 x 47$/);
    for (const bytes of [150_000, 300_000]) {
      const { numbers } = nvpOfBytes(video, bytes);
      assert.ok(Math.abs((numbers * 7) / (8 * bytes) - 1) < 0.1, `${numbers} numbers for ${bytes} bytes`);
    }
  });
});

describe('NIRVANA', () => {
  const codec = nirvana(VIDEO, { group: 3, width: 24, patch: 16, channels: 8 });
  let made: Trained;
  before(async () => {
    made = await trained(codec, 400);
  });

  /** PSNR over whole patches, as the training measures it, of the frames of a group as its file shows them. */
  const groupPsnr = (decoded: readonly Uint8Array[], truths: readonly Uint8Array[]): number => {
    const [file, truth] = [decoded, truths].map((frames) => onCanvas(frames, VIDEO, { width: 96, height: 48 })) as [
      Uint8Array,
      Uint8Array,
    ];
    return psnr(file, truth);
  };

  test('learns a clip group after group, and its file read back shows just what was trained', async () => {
    const decoded = await drawn(codec, made.file, WHOLE);
    const still = mean(FRAMES.map((frame) => psnr(MEAN, frame)));
    const shown = decoded.map((frame, t) => psnr(frame, FRAMES[t] as Uint8Array));
    assert.ok(mean(shown) > still + 2, `${mean(shown).toFixed(2)} dB, the mean frame has ${still.toFixed(2)} dB`);
    const best = Math.max(...made.progress.slice(0, made.progress.length / 2));
    const first = groupPsnr(decoded.slice(0, 3), FRAMES.slice(0, 3));
    assert.ok(Math.abs(first - best) < 0.3, `${first.toFixed(2)} dB from the file, ${best.toFixed(2)} dB in training`);
  });

  test('begins a group with the network of the one before it', () => {
    const half = made.progress.length / 2;
    assert.ok(
      (made.progress[half] as number) > (made.progress[0] as number) + 3,
      `${made.progress[0]} dB, then ${made.progress[half]} dB`,
    );
  });

  test('stores whole numbers, and a group that is like the one before as differences', async () => {
    const { tensors } = decodeNetwork(made.file);
    for (const [name, { data }] of tensors) if (!name.endsWith('.rest')) assert.ok(data.every(Number.isInteger), name);
    const numbers = [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
    assert.equal(numbers + 3 * 2, codec.numbers, 'with three scales a group');
    const still = FRAMES.map(() => FRAMES[0] as Uint8Array).concat(FRAMES.slice(0, 1), FRAMES.slice(0, 1));
    const longer = nirvana({ ...VIDEO, frames: still.length }, { group: 3, width: 24, patch: 16, channels: 8 });
    const twice = await trained(longer, 12, still);
    const heads = decodeNetwork(twice.file).config['groups'] as { differences: boolean }[];
    assert.deepEqual(
      heads.map(({ differences }) => differences),
      [false, true],
    );
    const second = groupPsnr(await drawn(longer, twice.file, [3, 4, 5]), still.slice(3));
    const best = Math.max(...twice.progress.slice(6));
    assert.ok(
      Math.abs(second - best) < 0.5,
      `${second.toFixed(2)} dB from the file, ${best.toFixed(2)} dB in training`,
    );
  });

  test('between two frames shows the nearer one, or with groups of one a mixture of both networks', async () => {
    const [at1, at14, at15, at16, at2] = (await drawn(codec, made.file, [1, 1.4, 1.5, 1.6, 2])) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    assert.deepEqual([at14, at15, at16], [at1, at1, at2]);
    const alone = nirvana(VIDEO, { group: 1, width: 12, patch: 16, channels: 8 });
    const [first, middle, second] = (await drawn(alone, (await trained(alone, 40)).file, [1, 1.5, 2])) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    assert.notDeepEqual(middle, first);
    assert.notDeepEqual(middle, second);
  });

  test('is as wide as a file of a size wants', () => {
    const video = { width: 320, height: 160, frames: 66 };
    const [small, large] = [150_000, 400_000].map((bytes) => nirvanaOfBytes(video, bytes)) as [
      NeuralCodec,
      NeuralCodec,
    ];
    // 4 bits for a whole number, 16 for what the authors keep as floats: a fifth of the larger one, and most of the
    // smaller one.
    assert.ok(large.numbers * 4 < 8 * 400_000 && large.numbers * 7 > 8 * 400_000, `${large.numbers} numbers`);
    assert.ok(small.numbers < large.numbers / 2, `${small.numbers} numbers`);
    assert.match(large.name, /width [2-9]\d$/);
  });
});

test('a codec’s size is that of its file on the disk', async () => {
  const folder = await TestFolder.make();
  const codec = nirvana(VIDEO, { group: 2, width: 8, patch: 16, channels: 8 });
  const clip = { file: '', caption: '', size: VIDEO, fps: 25, frames: FRAMES };
  const { bytes, bpp } = await measureCodec(clip, codec, 10 * STEP_S, folder.path, runtime, { clock: stepClock() });
  const file = await readFile(path.join(folder.path, 'NIRVANA-groups-of-2-width-8.peer'));
  assert.equal(bytes, file.length);
  assert.equal(bpp, (8 * bytes) / (94 * 44 * 4));
  await folder.remove();
});
