/** Encoding with the default pack. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { openFrames } from '../../model/frames/open.node.js';
import { encodeVideo } from '../../model/inr/encode.node.js';
import { defaultPackFolder, openPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { TestFolder } from '../helpers/folder.js';
import { makeVideo } from '../helpers/videos.js';

test('a training that is made to wait after its steps has its whole time all the same', async () => {
  const folder = await TestFolder.make();
  const file = path.join(folder.path, 'clip.mp4');
  await writeFile(file, await makeVideo({ width: 64, height: 48, times: [0, 0.25, 0.5, 0.75] }));
  const source = await openFrames(file);
  let waited = 0;
  const started = performance.now();
  const options = { pack: await openPack(defaultPackFolder()), runtime: nodeRuntime(), preset: 'draft' as const, seconds: 2, sourceName: 'clip.mp4', sourceBytes: null };
  const report = await encodeVideo(source, {
    ...options,
    afterStep: async () => {
      if (waited >= 40) return;
      waited++;
      await setTimeout(50);
    },
  });
  const wall = (performance.now() - started) / 1000;
  assert.equal(waited, 40);
  assert.ok(wall - report.seconds > 1.9, `${wall} s on the clock, ${report.seconds} s of encoding`);
  await source.close();
  await folder.remove();
});
