import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { FrameSourceError } from '../../model/frames/index.js';
import { findFfmpeg } from '../../model/frames/ffmpeg-program.node.js';
import { openFrames } from '../../model/frames/open.node.js';
import { TestFolder } from '../helpers/folder.js';
import { randomNumbers, type RandomNumbers } from '../helpers/random.js';
import { corners, makeVideo } from '../helpers/videos.js';

/** Files tried for each format. A video costs a process or two. */
const FILES = { photo: 150, mediabunny: 30, ffmpeg: 6 };
/** Seconds after which a single small file counts as a hang: the decoder process sees its own hangs in half a minute. */
const PATIENCE_S = 60;

const folder = await TestFolder.make();
after(() => folder.remove());

/** A copy with a few bytes, a stretch, or a 32-bit number changed, or with a piece cut out or doubled. */
function mutate(bytes: Uint8Array, random: RandomNumbers): Uint8Array {
  const copy = Buffer.from(bytes);
  const at = random.below(copy.length);
  switch (random.below(5)) {
    case 0:
      for (let i = 0; i < 1 + random.below(8); i++) copy[random.below(copy.length)] = random.below(256);
      return copy;
    case 1:
      return copy.fill(random.below(256), at, Math.min(at + 1 + random.below(40), copy.length));
    case 2:
      if (at + 4 <= copy.length) copy.writeUInt32BE([0, 1, 7, 0x7fffffff, 0xffffffff][random.below(5)] ?? 0, at);
      return copy;
    case 3:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at + random.below(64))]);
    default:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(Math.max(at - 64, 0), at), copy.subarray(at)]);
  }
}

/** Reads a file to its end: it gives sound frames or says what is wrong with it, within PATIENCE_S. */
async function read(file: string, decoder: 'mediabunny' | 'ffmpeg'): Promise<'read' | 'refused'> {
  const signal = AbortSignal.timeout(PATIENCE_S * 1000);
  try {
    const source = await openFrames(file, { decoder });
    try {
      let last = -1;
      for await (const frame of source.frames({ size: { width: 8, height: 8 }, limit: 20, signal })) {
        assert.ok(frame.time_s > last && Number.isFinite(frame.time_s), `time ${frame.time_s} after ${last}`);
        assert.equal(frame.data.length, 8 * 8 * 3);
        last = frame.time_s;
      }
    } finally {
      await source.close();
    }
    return 'read';
  } catch (error) {
    assert.ok(!signal.aborted, 'it hangs');
    assert.ok(error instanceof FrameSourceError, `not a FrameSourceError: ${error instanceof Error ? error.stack : String(error)}`);
    return 'refused';
  }
}

const raw = { raw: { width: 40, height: 30, channels: 3 } } as const;
const times = [0, 0.1, 0.2, 0.3];
const originals = {
  mp4: () => makeVideo({ times }),
  'fragmented-mp4': () => makeVideo({ container: 'fragmented-mp4', times }),
  webm: () => makeVideo({ container: 'webm', times }),
  mkv: () => makeVideo({ container: 'mkv', codec: 'hevc', times }),
  jpeg: () => sharp(corners(40, 30), raw).jpeg().toBuffer(),
  png: () => sharp(corners(40, 30), raw).png().toBuffer(),
  webp: () => sharp(corners(40, 30), raw).webp().toBuffer(),
};

const photos = ['jpeg', 'png', 'webp'];
const ffmpeg = await findFfmpeg();

for (const decoder of ['mediabunny', 'ffmpeg'] as const) {
  for (const [format, make] of Object.entries(originals)) {
    if (decoder === 'ffmpeg' && photos.includes(format)) continue;
    const kind = photos.includes(format) ? 'photo' : decoder;
    test(`damaged ${format} files through ${kind === 'photo' ? 'sharp' : decoder}`, { skip: decoder === 'ffmpeg' && ffmpeg === null ? 'ffmpeg is not on PATH' : false }, async () => {
      const original = await make();
      const random = randomNumbers(format.length * 1000 + 7);
      const outcomes = { read: 0, refused: 0 };
      for (let i = 0; i < FILES[kind]; i++) {
        const damaged = mutate(original, random);
        const file = await folder.write(`${format}-${i}`, damaged);
        try {
          outcomes[await read(file, decoder)]++;
        } catch (cause) {
          throw new Error(`file ${i}, base64 ${Buffer.from(damaged).toString('base64').slice(0, 4000)}`, { cause });
        }
        await rm(file);
      }
      // Damage that never shows, or always, would mean that the test does not reach the code it is for.
      assert.ok(outcomes.refused > 0, JSON.stringify(outcomes));
      if (decoder === 'mediabunny') assert.ok(outcomes.read > 0, JSON.stringify(outcomes));
    });
  }
}
