import assert from 'node:assert/strict';
import { readFile, rm } from 'node:fs/promises';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { FrameSourceError } from '../../model/frames/index.js';
import { openFrames } from '../../model/frames/open.node.js';
import { fixture } from '../helpers/fixtures.js';
import { TestFolder } from '../helpers/folder.js';
import { randomNumbers, type RandomNumbers } from '../helpers/random.js';
import { corners, makeVideo, movingPicture, type VideoRecipe } from '../helpers/videos.js';

/** Files tried for each format. A video that takes its decoder down costs a process. */
const FILES = { photo: 60, video: 16 };
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
async function read(file: string): Promise<'read' | 'refused'> {
  const signal = AbortSignal.timeout(PATIENCE_S * 1000);
  try {
    const source = await openFrames(file);
    try {
      let last = -1;
      let given = 0;
      for await (const frame of source.frames({ size: { width: 8, height: 8 }, limit: 20, signal })) {
        assert.ok(frame.time_s > last && Number.isFinite(frame.time_s), `time ${frame.time_s} after ${last}`);
        assert.equal(frame.data.length, 8 * 8 * 3);
        last = frame.time_s;
        given += 1;
      }
      assert.ok(given > 0 && given <= 20, `${given} frames`);
      for (const warning of source.warnings) assert.match(warning, /^[A-Z].*\.$/s);
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
/** A clip of four frames in whatever libav's muxer and encoder of these names make of it. */
const clip = (format: string, codec: string, pixelFormat = 'yuv420p', recipe: VideoRecipe = {}) => (): Promise<Uint8Array> =>
  makeVideo({ times: [0, 0.1, 0.2, 0.3], picture: movingPicture, ...recipe, settings: { format, codec, pixelFormat, codecOptions: {}, formatOptions: {}, ...recipe.settings } });
const at25 = { times: [0, 0.04, 0.08, 0.12], lastDuration: 0.04, settings: { ticksPerSecond: 25 } };

const photos: Readonly<Record<string, () => Promise<Uint8Array>>> = {
  jpeg: () => sharp(corners(40, 30), raw).jpeg().toBuffer(),
  png: () => sharp(corners(40, 30), raw).png().toBuffer(),
  webp: () => sharp(corners(40, 30), raw).webp().toBuffer(),
  tiff: () => sharp(corners(40, 30), raw).tiff().toBuffer(),
  avif: () => sharp(corners(40, 30), raw).avif().toBuffer(),
  heic: () => readFile(fixture('inputs/single.heic')),
  'heic of tiles': () => readFile(fixture('inputs/tiles.heic')),
};
const videos: Readonly<Record<string, () => Promise<Uint8Array>>> = {
  mp4: clip('mp4', 'libx264'),
  'fragmented-mp4': clip('mp4', 'libx264', 'yuv420p', { settings: { formatOptions: { movflags: '+frag_keyframe+empty_moov' } } }),
  webm: clip('webm', 'libvpx-vp9'),
  mkv: clip('matroska', 'libx264'),
  avi: clip('avi', 'mpeg4', 'yuv420p', at25),
  'transport stream': clip('mpegts', 'mpeg2video', 'yuv420p', at25),
  flv: clip('flv', 'flv', 'yuv420p', at25),
  asf: clip('asf', 'wmv2', 'yuv420p', at25),
  ogg: clip('ogg', 'libtheora', 'yuv420p', at25),
  nut: clip('nut', 'ffv1', 'yuv420p', at25),
  'raw H.264': clip('h264', 'libx264'),
  gif: clip('gif', 'gif', 'rgb8', at25),
  apng: clip('apng', 'apng', 'rgb24', at25),
  'animated webp': clip('webp', 'libwebp_anim', 'yuva420p', at25),
};

for (const [kind, originals] of [['photo', photos], ['video', videos]] as const) {
  for (const [format, make] of Object.entries(originals)) {
    test(`damaged ${format} files`, async () => {
      const original = await make();
      const random = randomNumbers(format.length * 1000 + 7);
      const outcomes = { read: 0, refused: 0 };
      for (let i = 0; i < FILES[kind]; i++) {
        const damaged = mutate(original, random);
        const file = await folder.write(`${kind}-${i}`, damaged);
        try {
          outcomes[await read(file)]++;
        } catch (cause) {
          throw new Error(`file ${i}, base64 ${Buffer.from(damaged).toString('base64').slice(0, 4000)}`, { cause });
        }
        await rm(file);
      }
      // What no damage keeps from being read would mean that files come undamaged, or none is read at all.
      assert.ok(outcomes.read > 0, JSON.stringify(outcomes));
    });
  }
}

test('bytes that are no media at all are refused', async () => {
  const random = randomNumbers(99);
  for (const length of [1, 7, 64, 700, 5000, 70_000]) {
    const noise = Uint8Array.from({ length }, () => random.below(256));
    assert.equal(await read(await folder.write('noise', noise)), 'refused', `${length} bytes of noise`);
  }
});
