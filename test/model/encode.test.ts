/** Encoding with the default pack. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { readContainer } from '../../model/container/index.js';
import { openFrames } from '../../model/frames/open.node.js';
import { encodeVideo, type EncodeOptions, type EncodeReport } from '../../model/inr/encode.node.js';
import { defaultPackFolder, openPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { TestFolder } from '../helpers/folder.js';
import { makeVideo } from '../helpers/videos.js';

/** Encodes a made clip of `frames` frames, four a second. */
async function encodeClip(frames: number, options: Partial<EncodeOptions> & Pick<EncodeOptions, 'preset'>): Promise<EncodeReport> {
  const folder = await TestFolder.make();
  const file = path.join(folder.path, 'clip.mp4');
  await writeFile(file, await makeVideo({ width: 64, height: 48, times: Array.from({ length: frames }, (_, t) => t / 4) }));
  const source = await openFrames(file);
  try {
    return await encodeVideo(source, { pack: await openPack(defaultPackFolder()), runtime: nodeRuntime(), sourceName: 'clip.mp4', sourceBytes: null, ...options });
  } finally {
    await source.close();
    await folder.remove();
  }
}

describe('encoding', () => {
  test('a training that is made to wait after its steps has its whole time all the same', async () => {
    // A clock that counts how often it is asked, and the waits.
    let [now_s, waits] = [0, 0];
    const report = await encodeClip(4, {
      preset: 'paper',
      network: { layers: 2, hidden: 32 },
      seconds: 2,
      clock: () => (now_s += 0.005),
      afterStep: () => {
        waits++;
        now_s += 10;
      },
    });
    assert.ok(waits > 40, `${waits} steps`);
    assert.ok(now_s > 10 * waits && report.seconds < 3, `${now_s} s on the clock, ${report.seconds} s of encoding`);
  });

  test('a cancelled encoding goes on from its checkpoint, without looking at the features again', async () => {
    const folder = await TestFolder.make();
    const checkpointPath = path.join(folder.path, 'checkpoint');
    const stages: string[] = [];
    const stop = new AbortController();
    const common = { preset: 'draft', checkpointPath, size: { width: 48, height: 32 } } as const;
    await assert.rejects(encodeClip(40, { ...common, signal: stop.signal, afterStep: () => stop.abort(new Error('enough')) }), /enough/);
    const report = await encodeClip(40, { ...common, onProgress: ({ stage }) => stages.push(stage) });
    assert.ok(!stages.includes('features') && stages.includes('training'), stages.join());
    assert.ok(report.psnr_db > 30, `${report.psnr_db} dB`);
    await folder.remove();
  });

  test('the first containers can be asked about, and each segment adds its pictures', async () => {
    const seen: { stage: string; coded: number; segments: number }[] = [];
    const report = await encodeClip(400, {
      preset: 'draft',
      size: { width: 32, height: 24 },
      onContainer: (bytes, stage) => {
        const { networks, mixing } = readContainer(bytes);
        const coded = networks.filter((network) => network !== null).length;
        assert.equal(mixing?.filter((segment) => segment !== null).length ?? 0, coded);
        seen.push({ stage, coded, segments: networks.length });
      },
    });
    assert.ok(report.segments >= 3, `${report.segments} segments`);
    assert.deepEqual(seen.map(({ stage }) => stage), ['latents', 'latents', ...new Array<string>(report.segments - 1).fill('checkpoint'), 'final']);
    assert.deepEqual(seen.slice(1).map(({ coded }) => coded), Array.from({ length: report.segments + 1 }, (_, k) => k));
  });
});
