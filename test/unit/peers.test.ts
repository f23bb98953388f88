/** The neural peers really learn, and their files draw what was trained. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { psnr } from '../../model/inr/quality.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { hnerv } from '../../client/peers/hnerv.js';
import { upscaling } from '../../client/peers/layers.js';
import { nerv } from '../../client/peers/nerv.js';
import { PeerDecoder, peerOfSize, storedNumbers, writePeer, type Peer, type PeerVideo } from '../../client/peers/peer.js';
import { timeMlp } from '../../client/peers/time-mlp.js';
import { PeerTrainer } from '../../client/peers/trainer.js';
import { movingPicture } from '../helpers/videos.js';

const runtime = nodeRuntime({ threads: 1 });
const VIDEO: PeerVideo = { width: 94, height: 48, frames: 8 };
const FRAMES = Array.from({ length: VIDEO.frames }, (_, t) => movingPicture(t, VIDEO.width, VIDEO.height));

/** PSNR of the mean frame shown at every time. */
function meanFramePsnr(): number {
  const mean = FRAMES[0]?.map((_, i) => Math.round(FRAMES.reduce((sum, frame) => sum + (frame[i] as number), 0) / FRAMES.length)) as Uint8Array;
  return FRAMES.reduce((sum, frame) => sum + psnr(mean, frame), 0) / FRAMES.length;
}

// NeRV's linear stem holds most of its numbers, so it needs more of them.
for (const [build, numbers, steps] of [[nerv, 200_000, 300], [hnerv, 60_000, 250], [timeMlp, 20_000, 500]] as const) {
  const peer = peerOfSize((width) => build(VIDEO, width), numbers);
  test(`${peer.name} learns a clip, and its file read back shows it better than the mean frame does`, async () => {
    const trainer = await PeerTrainer.create(runtime, peer, FRAMES);
    let [early, late] = [0, 0];
    for (let step = 0; step < steps; step++) {
      await trainer.step(step / steps);
      if (step < 8) early += trainer.mse / 8;
      if (step >= steps - 8) late += trainer.mse / 8;
    }
    assert.ok(late < early / 4, `the loss went from ${early} to ${late}`);
    const file = writePeer(peer, trainer.weights(), await trainer.codes());
    const quality = await measure(peer, file);
    const mean = meanFramePsnr();
    assert.ok(quality > mean + 3, `${quality.toFixed(2)} dB, the mean frame has ${mean.toFixed(2)} dB`);
    await trainer.release();
  });
}

test('between two frames a peer draws the moment that it is told, or a mixture of their codes', async () => {
  for (const build of [nerv, hnerv]) {
    const peer = build(VIDEO, 12);
    const trainer = await PeerTrainer.create(runtime, peer, FRAMES);
    for (let step = 0; step < 3; step++) await trainer.step(step / 3);
    const decoder = await PeerDecoder.open(peer, writePeer(peer, trainer.weights(), await trainer.codes()), runtime);
    const [first, middle, second] = [await decoder.frame(2), await decoder.frame(2.5), await decoder.frame(3)];
    assert.notDeepEqual(middle, first);
    assert.notDeepEqual(middle, second);
    await decoder.release();
    await trainer.release();
  }
});

async function measure(peer: Peer, file: Uint8Array): Promise<number> {
  const decoder = await PeerDecoder.open(peer, file, runtime);
  let sum = 0;
  for (const [t, frame] of FRAMES.entries()) sum += psnr(await decoder.frame(t), frame);
  await decoder.release();
  return sum / FRAMES.length;
}

test('the largest peer that fits a number of parameters is chosen', () => {
  for (const build of [nerv, hnerv]) {
    const made: Peer[] = [];
    const peer = peerOfSize((width) => {
      const next = build(VIDEO, width);
      made.push(next);
      return next;
    }, 100_000);
    assert.equal(peer, made.at(-2));
    assert.ok(storedNumbers(peer) <= 100_000 && storedNumbers(made.at(-1) as Peer) > 100_000);
  }
});

test('upscaling follows the published scales at the published size and covers any frame', () => {
  assert.deepEqual(upscaling(1280, 640, 2), { scales: [5, 4, 4, 2, 2], rows: 2, columns: 4 });
  assert.deepEqual(upscaling(1280, 640, 8), { scales: [5, 4, 2, 2], rows: 8, columns: 16 });
  assert.deepEqual(upscaling(320, 160, 2), { scales: [5, 4, 2, 2], rows: 2, columns: 4 });
  for (const [width, height] of [[94, 48], [321, 181], [50, 90]] as const) {
    const { scales, rows, columns } = upscaling(width, height, 2);
    const total = scales.reduce((product, scale) => product * scale, 1);
    assert.ok(rows * total >= height && columns * total >= width);
  }
});
