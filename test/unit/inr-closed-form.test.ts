/** Segments in closed form, without a model pack: what a file read back shows, and how its size and quality follow the goal. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { writeContainer, type Container } from '../../model/container/index.js';
import { closedForm, SegmentFrames } from '../../model/inr/closed-form.js';
import { parseSegmentConfig } from '../../model/inr/config.js';
import { LinrDecoder } from '../../model/inr/decoder.js';
import { psnr } from '../../model/inr/quality.js';
import { codeSegment, segmentNetwork, type CodedSegment, type RateGoal } from '../../model/inr/segment-coder.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { randomNumbers } from '../helpers/random.js';

const runtime = nodeRuntime({ threads: 1 });
const pause = (): Promise<void> => Promise.resolve();

/** Not a multiple of the patch in either direction. */
const SIZE = { width: 90, height: 58 };

/** A textured square that moves over a textured ground, with noise: (height, width, 3). */
function moving(frames: number): Uint8Array[] {
  const random = randomNumbers(3);
  const { width, height } = SIZE;
  const texture = Array.from({ length: 64 * 64 }, () => 60 * random.normal());
  return Array.from({ length: frames }, (_, t) => {
    const data = new Uint8Array(width * height * 3);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const inside = Math.abs(x - 20 - 2 * t) < 12 && Math.abs(y - 28) < 14;
        const at = inside ? (y % 64) * 64 + ((x - 2 * t + 640) % 64) : ((y >> 2) % 64) * 64 + ((x >> 2) % 64);
        const grey = 128 + (texture[at] as number) / (inside ? 2 : 1);
        for (let channel = 0; channel < 3; channel++) data[(y * width + x) * 3 + channel] = Math.max(0, Math.min(255, grey + 20 * channel * (inside ? 1 : -1) + 2 * random.normal()));
      }
    }
    return data;
  });
}

async function coded(frames: readonly Uint8Array[], goal: RateGoal, patch = 16): Promise<CodedSegment> {
  const pixels = new SegmentFrames({ ...SIZE, frames: frames.length, patch });
  frames.forEach((frame, t) => pixels.set(t, frame));
  return codeSegment(await closedForm(pixels, runtime, goal.kind === 'step' ? goal.step / 2 : 1e-3), 4, goal, pause);
}

function fileOf(segments: readonly CodedSegment[]): Uint8Array {
  const counts = segments.map(({ config }) => config.frames);
  const frames = counts.reduce((sum, count) => sum + count, 0);
  const container: Container = {
    meta: {
      ...SIZE, frames, segments: counts, duration_s: frames / 10, source: { name: 'made', ...SIZE, bytes: null },
      times_s: Float64Array.from({ length: frames }, (_, t) => t / 10), pack: { id: 'none', feature_space: 'none' }, encoder: { preset: 'test', seconds: 0 },
    },
    latents: new Float32Array(frames * 4),
    latentDim: 4,
    mixing: segments.map(({ mixing }) => mixing),
    networks: segments.map((segment) => segmentNetwork(segment)),
  };
  return writeContainer(container);
}

/** Mean PSNR of the file's frames. */
async function quality(file: Uint8Array, frames: readonly Uint8Array[]): Promise<number> {
  const decoder = new LinrDecoder(file, runtime);
  let sum = 0;
  for (const [t, frame] of frames.entries()) sum += psnr((await decoder.frame(t)).data, frame);
  await decoder.release();
  return sum / frames.length;
}

describe('a segment in closed form', () => {
  const frames = moving(20);

  test('shows its frames again, the better the finer its step, at any size of patch', async () => {
    for (const patch of [4, 8, 16, 32]) {
      const [fine, coarse] = [await coded(frames, { kind: 'step', step: 0.03 }, patch), await coded(frames, { kind: 'step', step: 0.3 }, patch)];
      const [better, worse] = [await quality(fileOf([fine]), frames), await quality(fileOf([coarse]), frames)];
      assert.ok(better > 38 && worse > 24 && better > worse + 5, `patches of ${patch}: ${better.toFixed(2)} and ${worse.toFixed(2)} dB`);
      assert.ok(fine.images.stream.length > 2 * coarse.images.stream.length);
    }
  });

  test('knows its quality without being decoded', async () => {
    for (const step of [0.05, 0.2]) {
      const segment = await coded(frames, { kind: 'step', step });
      const decoded = await quality(fileOf([segment]), frames);
      // What is cut off at black and white only makes pictures better; patches past the edge count as well.
      assert.ok(Math.abs(decoded + 10 * Math.log10(segment.mse)) < 0.6, `${decoded.toFixed(2)} dB decoded, ${(-10 * Math.log10(segment.mse)).toFixed(2)} foretold`);
    }
  });

  test('reaches a quality and a size that are asked for', async () => {
    for (const psnr_db of [28, 34, 40]) {
      const reached = await quality(fileOf([await coded(frames, { kind: 'psnr', psnr_db })]), frames);
      assert.ok(Math.abs(reached - psnr_db) < 0.5, `${reached.toFixed(2)} dB where ${psnr_db} were asked for`);
    }
    for (const bpp of [0.8, 2]) {
      const { images } = await coded(frames, { kind: 'bpp', bpp });
      const bits = (images.stream.length * 8) / (frames.length * SIZE.width * SIZE.height);
      assert.ok(bits < bpp && bits > 0.75 * bpp, `${bits.toFixed(3)} bits a pixel of images where ${bpp} were asked for in all`);
    }
  });

  test('of one frame, of frames that are all alike, and of black is as good', async () => {
    const [photo] = frames as [Uint8Array];
    const black = new Uint8Array(photo.length);
    for (const [name, pictures] of Object.entries({ photo: [photo], still: new Array<Uint8Array>(9).fill(photo), black: new Array<Uint8Array>(5).fill(black) })) {
      const segment = await coded(pictures, { kind: 'step', step: 0.03 });
      assert.equal(segment.mixing.count, 1, name);
      const decoded = await quality(fileOf([segment]), pictures);
      assert.ok(decoded > 36, `${name}: ${decoded.toFixed(2)} dB`);
    }
  });

  test('between two frames is drawn from the point between their latents, free numbers and all', async () => {
    const file = fileOf([await coded(frames, { kind: 'step', step: 0.03 }), await coded(frames.slice(0, 5), { kind: 'step', step: 0.03 })]);
    const decoder = new LinrDecoder(file, runtime);
    const [before, after, between] = [await decoder.frame(20), await decoder.frame(21), await decoder.frame(20.25, undefined, 'latents')];
    // Frames are linear in the free numbers, so this is the blend of the two, but for rounding and where they are cut off.
    const worst = between.data.reduce((most, value, i) => {
      const [a, b] = [before.data[i] as number, after.data[i] as number];
      return a === 0 || b === 0 || a === 255 || b === 255 ? most : Math.max(most, Math.abs(value - 0.75 * a - 0.25 * b));
    }, 0);
    assert.ok(worst <= 1.01, `${worst}`);
    await decoder.release();
  });

  test('that does not fit its configuration or its latents is refused by name', async () => {
    const segment = await coded(frames.slice(0, 4), { kind: 'step', step: 0.1 });
    const { config } = segment;
    const decode = (changed: CodedSegment): Promise<unknown> => new LinrDecoder(fileOf([changed]), runtime).frame(0);
    const transform = (change: object): CodedSegment => ({ ...segment, config: { ...config, transform: { ...config.transform, ...change } } });
    await assert.rejects(decode(transform({ count: 9 })), { code: 'network_invalid', message: /basis images have count \d, its configuration asks for 9/ });
    await assert.rejects(decode(transform({ patch: 8 })), { code: 'network_invalid', message: /basis images have rows 4, its configuration asks for 8/ });
    const levels = segment.mixing.levels.slice(0, 4);
    await assert.rejects(decode({ ...segment, mixing: { count: 1, levels } }), { code: 'network_invalid', message: /\d basis images, the latents 1 free numbers/ });
    await assert.rejects(decode({ ...segment, tensors: new Map() }), { code: 'network_invalid', message: /lacks the tensor "color"/ });
    assert.deepEqual(parseSegmentConfig(JSON.parse(JSON.stringify(config))), config);
    assert.throws(() => parseSegmentConfig({ ...config, transform: { ...config.transform, step: 0 } }), /transform.step must be a number from/);
    assert.throws(() => parseSegmentConfig({ ...config, transform: 3 }), /transform is not an object/);
    assert.throws(() => parseSegmentConfig({ ...config, frames: 0.5 }), /frames must be/);
  });
});
