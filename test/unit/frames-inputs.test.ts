/** Files as people have them, each of a kind that readers get wrong. test/fixtures/inputs/README.md says how they were made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openFrames } from '../../model/frames/open.node.js';
import type { Frame } from '../../model/frames/index.js';
import { fixture } from '../helpers/fixtures.js';

/** What a file is: its frames, its size, when its first frames and its last are shown, and what is warned of. */
interface Expected {
  readonly frames: number;
  readonly size: readonly [number, number];
  readonly kind?: 'photo';
  readonly starts_s?: readonly number[];
  readonly last_s?: number;
  readonly warning?: RegExp;
}

const QVGA = [320, 180] as const;
const EVERY_40_MS = { starts_s: [0, 0.04, 0.08], last_s: 1.88 };

const files: Readonly<Record<string, readonly [string, Expected]>> = {
  'flip5.mp4': ['five bytes are flipped', { frames: 47, size: QVGA, last_s: 1.88, warning: /1 packet could not be decoded and its frames are missing, \d frames are shown with faults/ }],
  'h264-bf.avi': ['an AVI with B-frames', { frames: 48, size: QVGA, ...EVERY_40_MS }],
  'hlg.mp4': ['HDR by hybrid log-gamma', { frames: 48, size: QVGA, ...EVERY_40_MS }],
  'mpeg4.mp4': ['MPEG-4 part 2 in an MP4', { frames: 48, size: QVGA, ...EVERY_40_MS }],
  'negts.mkv': ['times that begin before zero', { frames: 48, size: QVGA, ...EVERY_40_MS }],
  'noctts.mp4': ['B-frames without the times they are shown', { frames: 46, size: QVGA, starts_s: [0, 0.04, 0.08], last_s: 1.8 }],
  'obs-cut.mkv': ['a recording cut by a crash', { frames: 24, size: QVGA, starts_s: [0, 0.04, 0.08], last_s: 0.92, warning: /cut off.*says that it lasts 1\.92 s; its pictures end after 0\.96 s/s }],
  'single.heic': ['a HEIC photo', { frames: 1, size: [320, 240], kind: 'photo' }],
  'tiles.heic': ['a HEIC photo of tiles, to be turned', { frames: 1, size: [100, 128], kind: 'photo' }],
  'tall.jpg': ['a tall photo', { frames: 1, size: [300, 2000], kind: 'photo' }],
  'three.webp': ['an animated WebP', { frames: 3, size: [64, 36], starts_s: [0, 0.5, 1], last_s: 1 }],
  'ts-off.m2t': ['a transport stream joined midway', { frames: 48, size: QVGA, ...EVERY_40_MS }],
  'twovideo.mp4': ['two video tracks', { frames: 48, size: QVGA, ...EVERY_40_MS, warning: /2 video tracks; only the one of 320 x 180 pixels/ }],
  'vfr.mp4': ['a rate that changes midway', { frames: 48, size: QVGA, starts_s: [0, 0.04, 0.08], last_s: 5.56 }],
  'x.avif': ['an AVIF', { frames: 1, size: QVGA, kind: 'photo' }],
};

for (const [name, [what, expected]] of Object.entries(files)) {
  test(`${what}: ${name} gives the ${expected.frames} frames it tells of`, async () => {
    const source = await openFrames(fixture(`inputs/${name}`));
    const { frames, width, height, kind } = source.info;
    assert.deepEqual({ frames, size: [width, height], kind }, { frames: expected.frames, size: expected.size, kind: expected.kind ?? 'video' });
    const given: Frame[] = [];
    for await (const frame of source.frames({ size: { width: 16, height: 16 } })) given.push(frame);
    assert.equal(given.length, expected.frames);
    const times = given.map((frame) => Math.round(frame.time_s * 1000) / 1000);
    assert.ok(times.every((time, index) => index === 0 || time > (times[index - 1] as number)), times.join(' '));
    if (expected.starts_s !== undefined) assert.deepEqual(times.slice(0, expected.starts_s.length), expected.starts_s);
    if (expected.last_s !== undefined) assert.equal(times.at(-1), expected.last_s);
    if (expected.warning === undefined) assert.deepEqual(source.warnings, []);
    else assert.match(source.warnings.join('\n'), expected.warning);
    await source.close();
  });
}

for (const [name, what, ...quarters] of [
  ['hlg.mp4', 'HDR is', [220, 20, 20], [20, 200, 20], [20, 20, 220], [235, 235, 235]],
  ['single.heic', 'A HEIC photo is', [220, 30, 30], [30, 200, 30], [30, 30, 220], [235, 235, 235]],
  ['tiles.heic', 'A turned HEIC photo of tiles is', [30, 30, 220], [220, 30, 30], [235, 235, 235], [30, 200, 30]],
] as const) test(`${what} shown in the colors of its source`, async () => {
  const source = await openFrames(fixture(`inputs/${name}`));
  const { value: frame } = await source.frames()[Symbol.asyncIterator]().next() as { value: Frame };
  for (const [k, [x, y]] of ([[0.25, 0.25], [0.75, 0.25], [0.25, 0.7], [0.75, 0.7]] as const).entries()) {
    const color = quarters[k] ?? [];
    const at = (Math.floor(y * frame.height) * frame.width + Math.floor(x * frame.width)) * 3;
    const shown = [...frame.data.subarray(at, at + 3)];
    const off = Math.max(...shown.map((value, i) => Math.abs(value - (color[i] ?? NaN))));
    assert.ok(off <= 6, `${shown.join(' ')} at ${x}, ${y}, the source has ${color.join(' ')}`);
  }
  await source.close();
});
