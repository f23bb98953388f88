/** x264 and x265 as peers, in this process, and what codecs are compared by. */
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ClassicError, decodeClassic, decodeSpeed, encodeClassic, missing } from '../../client/peers/classic.js';
import type { Clip } from '../../client/peers/clip.js';
import { measureClassic } from '../../client/peers/measure.js';
import { curveAt } from '../../client/peers/rate-curve.js';
import { openFrames } from '../../model/frames/open.node.js';
import { bitsPerPixel, lumaPsnr } from '../../model/inr/quality.js';
import { TestFolder } from '../helpers/folder.js';
import { movingPicture } from '../helpers/videos.js';

const SIZE = { width: 96, height: 64 };
const OPTIONS = { threads: 1 };

function clipOf(count: number, { width, height } = SIZE): Clip {
  return {
    file: '',
    caption: 'made',
    size: { width, height },
    fps: 25,
    frames: Array.from({ length: count }, (_, t) => movingPicture(t, width, height)),
  };
}

let folder: TestFolder;
before(async () => {
  folder = await TestFolder.make();
});
after(() => folder.remove());

for (const codec of ['libx264', 'libx265'] as const) {
  describe(codec, () => {
    const clip = clipOf(12);
    const file = (crf: number): string => path.join(folder.path, `${codec}-${crf}.mp4`);

    test('is in node-av, and keeps every frame in order, better at more bits', async () => {
      assert.equal(missing(codec), null);
      const [fine, coarse] = [
        await measureClassic(clip, codec, 8, folder.path, OPTIONS),
        await measureClassic(clip, codec, 38, folder.path, OPTIONS),
      ];
      assert.ok(
        fine.luma_db > coarse.luma_db + 8 && fine.psnr_db > coarse.psnr_db + 4 && fine.bytes > 2 * coarse.bytes,
        JSON.stringify([fine, coarse]),
      );
      const frames = [...decodeClassic(clip, file(8))];
      assert.equal(frames.length, 12);
      frames.forEach((frame, t) => {
        const own = lumaPsnr(frame, clip.frames[t] as Uint8Array);
        assert.ok(own > 36 && own > lumaPsnr(frame, clip.frames[(t + 1) % 12] as Uint8Array), `frame ${t}: ${own} dB`);
      });
    });

    test('counts the bytes of its video packets, which are less than the file’s', async () => {
      const { packetBytes } = await encodeClassic(clip, codec, 20, file(20), OPTIONS);
      const { size } = await stat(file(20));
      assert.ok(packetBytes < size && size < packetBytes + 4000, `${packetBytes} of ${size} bytes`);
      const measured = await measureClassic(clip, codec, 20, folder.path, OPTIONS);
      assert.equal(measured.bytes, packetBytes);
      assert.equal(measured.bpp, bitsPerPixel(packetBytes, 12, SIZE.width, SIZE.height));
    });

    test('writes files that the reader of videos shows alike', async () => {
      await encodeClassic(clip, codec, 8, file(8), OPTIONS);
      const ours = [...decodeClassic(clip, file(8))];
      const source = await openFrames(file(8));
      let t = 0;
      for await (const { data } of source.frames()) {
        const alike = lumaPsnr(data, ours[t++] as Uint8Array);
        assert.ok(alike > 40, `frame ${t}: ${alike} dB`);
      }
      await source.close();
      assert.equal(t, 12);
    });
  });
}

test('an encoder that refuses the frames says so, and a stop is a stop', async () => {
  const out = path.join(folder.path, 'odd.mp4');
  await assert.rejects(
    encodeClassic(clipOf(2, { width: 95, height: 63 }), 'libx264', 20, out, OPTIONS),
    (error) => error instanceof ClassicError && /^libx264: /.test(error.message),
  );
  const stopped = AbortSignal.abort(new Error('stopped'));
  await assert.rejects(
    encodeClassic(clipOf(2), 'libx264', 20, out, { ...OPTIONS, signal: stopped }),
    /^Error: stopped$/,
  );
  await encodeClassic(clipOf(2), 'libx264', 20, out, OPTIONS);
  await assert.rejects(decodeSpeed(clipOf(2), out, { ...OPTIONS, signal: stopped }), /^Error: stopped$/);
  let asked = 0;
  assert.equal(
    await decodeSpeed(clipOf(2), out, { ...OPTIONS, clock: () => 4 * asked++ }),
    20 / 4,
    'ten times two frames',
  );
});

test('a curve is read at equal size: linear in the logarithm of the rate, and not beyond its ends', () => {
  const curve = [
    { bpp: 0.4, dB: 36 },
    { bpp: 0.1, dB: 30 },
    { bpp: 1.6, dB: 40 },
  ];
  assert.equal(curveAt(curve, 0.1), 30);
  assert.ok(Math.abs((curveAt(curve, 0.2) as number) - 33) < 1e-9);
  assert.ok(Math.abs((curveAt(curve, 0.8) as number) - 38) < 1e-9);
  assert.deepEqual([curveAt(curve, 0.09), curveAt(curve, 1.7), curveAt([], 1)], [null, null, null]);
});
