/** Shots of real videos, through the vision tower of the default pack. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { openModels } from '../../client/cli/models.js';
import { shotStarts } from '../../model/inr/shots.js';
import { openAskable } from '../../projector/library/askable.node.js';

const data = process.env['LATENTCHAT_DATA'] || undefined;
describe('shots of real videos', { skip: data === undefined ? 'LATENTCHAT_DATA does not name the folder of test data' : false }, () => {
  const expected: readonly (readonly [string, readonly number[]])[] = [
    ['bikes.mp4', [0, 30, 76, 137, 187, 242]],
    ['carphone.mp4', [0]],
    ['car-turn.mp4', [0]],
    ['man-skiing.mp4', [0]],
  ];
  test('are those that a viewer sees', async () => {
    const models = await openModels({ threads: 2 });
    try {
      for (const [name, starts] of expected) {
        const { video } = await openAskable(path.join(data ?? '', 'videos', name), models, { frames: () => 600 });
        assert.deepEqual(shotStarts(video.latents, video.dim), starts, name);
      }
    } finally {
      await models.release();
    }
  });
});
