import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { packTable, SECTIONS } from '../../client/cli/evaluate/pack/index.js';
import { momentOf, overlap } from '../../client/metrics/moments.js';
import { perplexity } from '../../client/metrics/perplexity.js';

describe('moments', () => {
  test('are the seconds an answer names, each end moved out by half the time between frames', () => {
    assert.deepEqual(momentOf('From 4.5 to 7.5 seconds.', 0.5), [4, 8]);
    assert.deepEqual(momentOf('At 0.5 seconds.', 1), [0, 1.5]);
    assert.deepEqual(momentOf('Between 9 and 3.', 0), [3, 9], 'in either order');
    assert.equal(momentOf('There is no dog.', 1), null);
  });

  test('overlap by what they share of what they cover together', () => {
    assert.equal(overlap([0, 4], [2, 6]), 2 / 6);
    assert.equal(overlap([1, 3], [1, 3]), 1);
    assert.equal(overlap([0, 1], [1, 2]), 0);
    assert.equal(overlap([0, 1], [5, 6]), 0);
  });
});

test('perplexity is taken over all tokens, so that long texts count for more', () => {
  const sure = { logProbability: 0, tokens: 3 };
  assert.equal(perplexity([sure]), 1);
  assert.ok(Math.abs(perplexity([sure, { logProbability: -4, tokens: 1 }]) - Math.E) < 1e-12);
  assert.throws(() => perplexity([]), RangeError);
});

describe('the table of a pack', () => {
  test('has a row a figure, with what no video gives beside it', () => {
    const table = packTable([
      { key: 'yes_no', what: 'yes or no', count: 300, value: 0.8125, blind: 0.5, reach: '0.80' },
      { key: 'speed', what: 'tokens a second', count: 64, value: 120.25, blind: null, reach: '' },
    ]);
    assert.equal(table, ['                 items  figure  no video  reach', 'yes or no          300  0.8125    0.5000   0.80', 'tokens a second     64   120.3         -      -'].join('\n'));
  });

  test('names every group of rows once', () => {
    assert.equal(new Set(SECTIONS.map(({ name }) => name)).size, SECTIONS.length);
  });
});
