import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { openFrames } from '../../model/frames/open.node.js';

const data = process.env['LATENTCHAT_DATA'] || undefined;

for (const [name, width, height, frames, fps] of [
  ['bunny', 1280, 720, 132, 25],
  ['bikes', 640, 272, 250, 25],
  // 176 x 144 coded pixels that are shown 128 : 117 wide.
  ['carphone', 193, 144, 120, 29.97],
  ['cockatoo', 1280, 720, 280, 20],
] as const) {
  test(`${name}.mp4 gives all of its ${frames} frames`, { skip: data === undefined ? 'LATENTCHAT_DATA does not name the folder of test data' : false }, async () => {
    const source = await openFrames(path.join(data ?? '', 'videos', `${name}.mp4`));
    assert.deepEqual([source.info.width, source.info.height, source.info.frames], [width, height, frames]);
    assert.ok(Math.abs((source.info.fps ?? 0) - fps) < 0.01);
    let count = 0;
    for await (const frame of source.frames({ size: { width: 32, height: 16 } })) {
      assert.ok(Math.abs(frame.time_s - count / fps) < 0.005, `frame ${count} at ${frame.time_s} s`);
      assert.ok(frame.data.some((value) => value > 30), `frame ${count} is black`);
      count++;
    }
    assert.equal(count, frames);
    await source.close();
  });
}
