import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import sharp, { type Sharp } from 'sharp';
import type { Frame, FrameSource } from '../../model/frames/index.js';
import { MAX_COUNTED_PIXELS } from '../../model/frames/limits.js';
import { openFrames } from '../../model/frames/open.node.js';
import { TestFolder } from '../helpers/folder.js';
import { BLUE, corners, GREEN, grey, makeSound, makeVideo, movingPicture, RED, WHITE, type Colour, type VideoRecipe } from '../helpers/videos.js';

const folder = await TestFolder.make();
after(() => folder.remove());

async function all(source: FrameSource, options?: Parameters<FrameSource['frames']>[0]): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const frame of source.frames(options)) frames.push(frame);
  return frames;
}

const times = (frames: readonly Frame[]): number[] => frames.map((frame) => Math.round(frame.time_s * 1000) / 1000);

/** The colours in the middle of the quarters: top left, top right, bottom left, bottom right. */
function quarters({ width, height, data }: Frame): number[][] {
  return [0.25, 0.75].flatMap((y) =>
    [0.25, 0.75].map((x) => {
      const at = (Math.floor(y * height) * width + Math.floor(x * width)) * 3;
      return [...data.subarray(at, at + 3)];
    }),
  );
}

function assertQuarters(frame: Frame, ...expected: Colour[]): void {
  quarters(frame).forEach((colour, quarter) => {
    const off = Math.max(...colour.map((value, i) => Math.abs(value - (expected[quarter]?.[i] ?? NaN))));
    assert.ok(off <= 6, `quarter ${quarter} is ${colour.join(' ')}, expected ${expected[quarter]?.join(' ')}`);
  });
}

let count = 0;
async function open(recipe: VideoRecipe): Promise<FrameSource> {
  // The name says nothing about the format: only the bytes may.
  return openFrames(await folder.write(`video-${count++}`, await makeVideo(recipe)));
}

describe('videos', () => {

  for (const recipe of [
    { container: 'mp4', codec: 'avc' },
    { container: 'mp4', codec: 'hevc' },
    { container: 'mp4', codec: 'av1' },
    { container: 'fragmented-mp4', codec: 'avc' },
    { container: 'mov', codec: 'avc' },
    { container: 'mkv', codec: 'avc' },
    { container: 'mkv', codec: 'vp9' },
    { container: 'webm', codec: 'vp8' },
  ] as const) {
    test(`${recipe.codec} in ${recipe.container}`, async () => {
      const source = await open(recipe);
      const { duration_s, ...info } = source.info;
      assert.deepEqual(info, { width: 64, height: 48, frames: 10, fps: 10 / duration_s, kind: 'video' });
      assert.ok(Math.abs(duration_s - 1) < 1e-9, `${duration_s} s`);
      const frames = await all(source);
      assert.deepEqual(times(frames), [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
      for (const frame of frames) assertQuarters(frame, RED, GREEN, BLUE, WHITE);
      await source.close();
    });
  }

  for (const [rotation, flip, ...expected] of [
    [90, false, BLUE, RED, WHITE, GREEN],
    [180, false, WHITE, BLUE, GREEN, RED],
    [270, false, GREEN, WHITE, RED, BLUE],
    [0, true, GREEN, RED, WHITE, BLUE],
    [90, true, RED, BLUE, GREEN, WHITE],
  ] as const) {
    test(`a rotation of ${rotation} degrees${flip ? ' and a mirroring' : ''} is applied`, async () => {
      const source = await open({ rotation, flip, times: [0] });
      const [width, height] = rotation % 180 === 0 ? [64, 48] : [48, 64];
      assert.deepEqual([source.info.width, source.info.height], [width, height]);
      const [frame] = await all(source);
      assert.ok(frame);
      assert.deepEqual([frame.width, frame.height, frame.data.length], [width, height, width * height * 3]);
      assertQuarters(frame, ...expected);
      await source.close();
    });
  }

  for (const [container, display] of [
    ['mp4', { width: 128, height: 48 }],
    ['mp4', { width: 64, height: 96 }],
    ['mkv', { width: 128, height: 48 }],
  ] as const) {
    test(`pixels that are not square come out square: 64 x 48 in ${container} shown as ${display.width} x ${display.height}`, async () => {
      const source = await open({ container, display, times: [0] });
      assert.deepEqual([source.info.width, source.info.height], [display.width, display.height]);
      const [frame] = await all(source);
      assert.ok(frame);
      assert.equal(frame.data.length, display.width * display.height * 3);
      assertQuarters(frame, RED, GREEN, BLUE, WHITE);
      await source.close();
    });
  }

  test('a variable frame rate keeps its own times', async () => {
    const source = await open({ times: [0, 0.1, 0.15, 0.5, 1.25, 1.3], lastDuration: 0.7 });
    assert.deepEqual(times(await all(source)), [0, 0.1, 0.15, 0.5, 1.25, 1.3]);
    assert.equal(source.info.frames, 6);
    assert.ok(Math.abs(source.info.duration_s - 2) < 0.02, `${source.info.duration_s} s`);
    await source.close();
  });

  test('time begins at the first frame, wherever the file starts its clock', async () => {
    const source = await open({ container: 'mkv', times: [3, 3.1, 3.2] });
    assert.deepEqual(times(await all(source)), [0, 0.1, 0.2]);
    assert.deepEqual(times(await all(source, { limit: 1 })), [0.1]);
    assert.ok(Math.abs(source.info.duration_s - 0.3) < 0.01);
    await source.close();
  });

  test('a video of one frame', async () => {
    const source = await open({ times: [0] });
    assert.deepEqual([source.info.frames, source.info.fps], [1, null]);
    assert.deepEqual(times(await all(source, { limit: 8 })), [0]);
    await source.close();
  });

  test('a video of 1 x 1 pixels', async () => {
    const source = await open({ container: 'webm', codec: 'vp9', width: 1, height: 1, times: [0, 0.1], picture: (_, w, h) => grey(200, w, h) });
    const frames = await all(source);
    assert.equal(frames.length, 2);
    assert.equal(frames[0]?.data.length, 3);
    assert.ok(Math.abs((frames[0]?.data[1] ?? 0) - 200) <= 4);
    assert.equal((await all(source, { size: { width: 32, height: 16 } }))[0]?.data.length, 32 * 16 * 3);
    await source.close();
  });

  test('an odd size keeps every row and column', async () => {
    const source = await open({ container: 'webm', width: 33, height: 17, times: [0] });
    const [frame] = await all(source);
    assert.equal(frame?.data.length, 33 * 17 * 3);
    assert.ok(frame);
    assertQuarters(frame, RED, GREEN, BLUE, WHITE);
    await source.close();
  });

  test('frames come in the size that was asked for, with the means of the pixels they cover', async () => {
    const stripes = (_: number, width: number, height: number): Uint8Array =>
      Uint8Array.from({ length: width * height * 3 }, (_, i) => (Math.floor(i / 3) % width % 8 < 2 ? 224 : 32));
    const source = await open({ width: 128, height: 64, times: [0], picture: stripes });
    const [frame] = await all(source, { size: { width: 16, height: 8 } });
    assert.ok(frame);
    assert.deepEqual([frame.width, frame.height, frame.data.length], [16, 8, 16 * 8 * 3]);
    const mean = (224 + 3 * 32) / 4;
    const worst = frame.data.reduce((most, value) => Math.max(most, Math.abs(value - mean)), 0);
    assert.ok(worst <= 4, `a stripe shows: off by ${worst}`);
    await source.close();
  });

  const brightness = (frame: Frame): number => frame.data[0] ?? NaN;
  const ramp = (index: number, width: number, height: number): Uint8Array => grey(index * 2, width, height);

  test('a limit takes the frames shown in the middles of equal stretches', async () => {
    const source = await open({ times: Array.from({ length: 100 }, (_, i) => i / 25), lastDuration: 0.04, picture: ramp });
    const frames = await all(source, { limit: 8 });
    assert.deepEqual(times(frames), [6, 18, 31, 43, 56, 68, 81, 93].map((index) => index / 25));
    for (const frame of frames) assert.ok(Math.abs(brightness(frame) - frame.time_s * 50) <= 4);
    assert.equal((await all(source, { limit: 100 })).length, 100);
    assert.equal((await all(source, { limit: 1000 })).length, 100);
    await source.close();
  });

  test('three hours are sampled without decoding them all', async () => {
    const every = 10;
    const total = (3 * 3600) / every;
    const source = await open(
      { times: Array.from({ length: total }, (_, i) => i * every), lastDuration: every, keyFrameInterval: 300, picture: (i, w, h) => grey((i / total) * 250, w, h) },
    );
    assert.ok(Math.abs(source.info.duration_s - 3 * 3600) < 1);
    const frames = await all(source, { limit: 4 });
    assert.deepEqual(times(frames), [1350, 4050, 6750, 9450]);
    for (const frame of frames) assert.ok(Math.abs(brightness(frame) - (frame.time_s / 10_800) * 250) <= 4);
    await source.close();
  });

  test('a video too long to be decoded for counting is counted by its packets, and sampled by jumping', async () => {
    const total = 330;
    const source = await open({
      container: 'mkv', width: 1280, height: 720, times: Array.from({ length: total }, (_, i) => i / 25), lastDuration: 0.04,
      picture: (i, w, h) => grey((i / total) * 250, w, h), settings: { codecOptions: { preset: 'ultrafast', crf: '12' }, ticksPerSecond: 1000 },
    });
    assert.ok(total * 1280 * 720 > MAX_COUNTED_PIXELS);
    assert.equal(source.info.frames, total);
    const size = { width: 8, height: 8 };
    const sampled = await all(source, { limit: 2, size });
    assert.deepEqual(times(sampled), [3.28, 9.88]);
    for (const frame of sampled) assert.ok(Math.abs(brightness(frame) - (frame.time_s / 13.2) * 250) <= 4, `${brightness(frame)} at ${frame.time_s}`);
    const every = times(await all(source, { size }));
    assert.equal(every.length, total);
    assert.deepEqual(every.slice(-2), [13.12, 13.16]);
    await source.close();
  });

  test('leaving the loop early and starting again gives the first frame again', async () => {
    const source = await open({ picture: ramp });
    for (let round = 0; round < 3; round++) {
      for await (const frame of source.frames()) {
        assert.equal(frame.time_s, 0);
        break;
      }
    }
    await source.close();
  });

  test('two loops over one source do not disturb each other', async () => {
    const source = await open({});
    const [first, second] = await Promise.all([all(source), all(source, { limit: 3 })]);
    assert.equal(first.length, 10);
    assert.equal(second.length, 3);
    await source.close();
  });

  test('aborting throws the reason of the signal', async () => {
    const source = await open({});
    const reason = new Error('enough');
    await assert.rejects(all(source, { signal: AbortSignal.abort(reason) }), reason);
    const controller = new AbortController();
    const seen: number[] = [];
    await assert.rejects(async () => {
      for await (const frame of source.frames({ signal: controller.signal })) {
        seen.push(frame.time_s);
        if (seen.length === 2) controller.abort(reason);
      }
    }, reason);
    assert.equal(seen.length, 2);
    await source.close();
  });

  test('a closed source says so', async () => {
    const source = await open({});
    await source.close();
    await source.close();
    await assert.rejects(all(source), { code: 'source_closed' });
  });

  test('closing a source ends its loops and leaves other sources alone', async () => {
    const first = await open({ picture: ramp });
    const loop = first.frames()[Symbol.asyncIterator]();
    await loop.next();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await first.close();
    const second = await open({ times: [0, 1, 2] });
    await assert.rejects(async () => {
      for (let i = 0; i < 5; i++) await loop.next();
    }, { code: 'source_closed' });
    assert.deepEqual(times(await all(second)), [0, 1, 2]);
    await second.close();
  });

  test('options out of range are named', async () => {
    const source = await open({ times: [0] });
    await assert.rejects(all(source, { size: { width: 0, height: 5 } }), /size\.width must be a whole number/);
    await assert.rejects(all(source, { size: { width: 5, height: 2.5 } }), /size\.height must be a whole number/);
    await assert.rejects(all(source, { limit: 0 }), /limit must be a whole number/);
    await source.close();
  });

  test('a file without a video track is refused', async () => {
    await assert.rejects(openFrames(await folder.write('sound', makeSound())), { code: 'no_video_track' });
  });

  test('a codec nobody knows is refused by name', async () => {
    const bytes = Buffer.from(await makeVideo({ times: [0] }));
    bytes.write('zzzz', bytes.indexOf('avc1', bytes.indexOf('stsd')), 'latin1');
    await assert.rejects(openFrames(await folder.write('codec', bytes)), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'codec_unsupported');
      assert.match(error.message, /zzzz/);
      return true;
    });
  });

});

describe('photos', () => {
  const picture = (): Sharp => sharp(corners(40, 30), { raw: { width: 40, height: 30, channels: 3 } });

  for (const format of ['jpeg', 'png', 'webp'] as const) {
    test(`a ${format} is a video of one frame`, async () => {
      const source = await openFrames(await folder.write(`photo-${format}.txt`, await picture().toFormat(format, { quality: 95 }).toBuffer()));
      assert.deepEqual(source.info, { width: 40, height: 30, duration_s: 0, frames: 1, fps: null, kind: 'photo' });
      const frames = await all(source, { limit: 8 });
      assert.deepEqual(times(frames), [0]);
      assert.ok(frames[0]);
      assertQuarters(frames[0], RED, GREEN, BLUE, WHITE);
      assert.equal((await all(source, { size: { width: 20, height: 20 } }))[0]?.data.length, 1200);
      await source.close();
      await assert.rejects(all(source), { code: 'source_closed' });
    });
  }

  test('the EXIF orientation is applied', async () => {
    const source = await openFrames(await folder.write('turned', await picture().withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toBuffer()));
    assert.deepEqual([source.info.width, source.info.height], [30, 40]);
    const [frame] = await all(source);
    assert.ok(frame);
    assertQuarters(frame, BLUE, RED, WHITE, GREEN);
  });

  test('grey, transparent and 16-bit pictures become RGB bytes', async () => {
    const grey = await openFrames(await folder.write('grey', await picture().greyscale().png().toBuffer()));
    assert.equal((await all(grey))[0]?.data.length, 40 * 30 * 3);
    const clear = await sharp({ create: { width: 4, height: 4, channels: 4, background: { r: 9, g: 9, b: 9, alpha: 0 } } }).png().toBuffer();
    const onWhite = await all(await openFrames(await folder.write('clear', clear)));
    assert.ok(onWhite[0]?.data.every((value) => value === 255));
    const deep = await all(await openFrames(await folder.write('deep', await picture().toColourspace('rgb16').png().toBuffer())));
    assert.ok(deep[0]);
    assertQuarters(deep[0], RED, GREEN, BLUE, WHITE);
  });

  test('a photo that is cut off shows what is there, with a warning', async () => {
    const bytes = await sharp(corners(400, 300), { raw: { width: 400, height: 300, channels: 3 } }).jpeg({ quality: 95 }).toBuffer();
    const source = await openFrames(await folder.write('cut.jpg', bytes.subarray(0, (bytes.length * 3) >> 2)));
    assert.match(source.warnings.join(), /cut off/);
    const [frame] = await all(source);
    assert.ok(frame);
    assert.deepEqual(quarters(frame).slice(0, 2).map((colour) => colour.map((value) => Math.round(value / 10))), [RED, GREEN].map((colour) => colour.map((value) => Math.round(value / 10))));
    await assert.rejects(openFrames(await folder.write('stub.jpg', Uint8Array.of(0xff, 0xd8, 0xff, 0xe0))), { code: 'media_damaged' });
  });

  test('a photo whose header claims too many pixels is refused before it is decoded', async () => {
    const bytes = await picture().png().toBuffer();
    bytes.writeUInt32BE(30_000, 16);
    bytes.writeUInt32BE(30_000, 20);
    await assert.rejects(openFrames(await folder.write('bomb.png', bytes)), (error: Error & { code?: string }) => ['too_large', 'media_damaged'].includes(error.code ?? ''));
  });
});

describe('what cannot be read', () => {
  let video: Uint8Array;
  before(async () => {
    video = await makeVideo({ picture: movingPicture, settings: { formatOptions: { movflags: '+faststart' } } });
  });

  const refused = async (name: string, content: Uint8Array | string, code: string, message: RegExp): Promise<void> => {
    await assert.rejects(openFrames(await folder.write(name, content), { name: 'holiday.mp4' }), (error: Error & { code?: string }) => {
      assert.equal(error.name, 'FrameSourceError');
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      assert.match(error.message, /holiday\.mp4/);
      assert.ok(!error.message.includes(folder.path), 'the message shows the path on this machine');
      return true;
    });
  };

  test('a file that is not there', async () => {
    await assert.rejects(openFrames('/no/such/file.mp4'), { code: 'file_missing', message: 'There is no file /no/such/file.mp4.' });
    await assert.rejects(openFrames(folder.path), { code: 'file_missing' });
  });

  test('an empty file', () => refused('empty.mp4', '', 'file_empty', /is empty/));
  test('a text file named .mp4', () => refused('text.mp4', 'BMW drives, MP4 does not.\n'.repeat(50), 'not_media', /neither a photo nor a video/));
  test('a text of one letter', () => refused('x.mp4', 'x', 'not_media', /neither a photo nor a video/));
  test('a drawing in SVG', () => refused('a.svg', '<svg xmlns="http://www.w3.org/2000/svg"/>', 'not_media', /neither a photo nor a video/));
  test('zero bytes', () => refused('zero.mp4', new Uint8Array(5000), 'not_media', /neither a photo nor a video/));
  test('an MP4 cut before its index', () => refused('start.mp4', video.subarray(0, 36), 'video_truncated', /lacks its index.*cut off.*again\./));
  test('a playlist, which names other files', async () => {
    const beside = await folder.write('beside.mp4', video);
    await refused('list.m3u8', `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://${beside}\n#EXT-X-ENDLIST\n`, 'not_media', /neither a photo nor a video/);
    await refused('list.txt', `ffconcat version 1.0\nfile '${beside}'\n`, 'not_media', /neither a photo nor a video/);
  });
  test('pictures larger than the limit, before they are decoded', () =>
    refused('huge.y4m', `YUV4MPEG2 W12000 H6000 F25:1 Ip A1:1 C420jpeg\nFRAME\n${'.'.repeat(5000)}`, 'too_large', /12000 x 6000 pixels.*Scale it down/s));
  test('a video of more than a day', async () => {
    await refused('week.mp4', await makeVideo({ container: 'mkv', times: [0, 7 * 86_400] }), 'too_large', /lasts \d+\.0 hours.*Cut it/s);
  });

  test('every cut of an MP4 gives what is there, with a warning, or is refused in a sentence', async () => {
    const given: number[] = [];
    for (let length = 1; length < video.length; length += 97) {
      const file = await folder.write('cut', video.subarray(0, length));
      try {
        const source = await openFrames(file);
        assert.match(source.warnings.join(), /cut off/);
        given.push((await all(source)).length);
        assert.equal(given.at(-1), source.info.frames);
        await source.close();
      } catch (error) {
        assert.equal((error as Error).name, 'FrameSourceError', `${length} of ${video.length} bytes: ${String(error)}`);
      }
    }
    assert.deepEqual(given, given.toSorted((a, b) => a - b), 'more bytes give fewer frames');
  });
});
