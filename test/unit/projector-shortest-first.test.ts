/** Work in pieces: the shortest first, nothing put off for ever. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ShortestFirst, type Pieces } from '../../projector/shortest-first.js';

/** Work of so many pieces, each of which is told, and may bring further work along. */
function work(name: string, pieces: number, told: string[], along: (piece: number) => void = () => undefined): Pieces {
  let done = 0;
  return {
    left: () => pieces - done,
    next: async () => {
      await Promise.resolve();
      told.push(name);
      done += 1;
      along(done);
      return done === pieces;
    },
  };
}

test('what is short waits for one piece of what is long', async () => {
  const told: string[] = [];
  const line = new ShortestFirst();
  let short: Promise<void> | undefined;
  const long = line.run(work('long', 5, told, (piece) => {
    if (piece === 2) short = line.run(work('short', 1, told));
  }));
  await long;
  await short;
  assert.deepEqual(told, ['long', 'long', 'short', 'long', 'long', 'long']);
});

test('among equals, who came first is done first, and to its end', async () => {
  const told: string[] = [];
  const line = new ShortestFirst();
  await Promise.all(['a', 'b', 'c'].map((name) => line.run(work(name, 2, told))));
  assert.deepEqual(told, ['a', 'a', 'b', 'b', 'c', 'c']);
});

test('long work is not put off for ever by short work that keeps coming', async () => {
  const told: string[] = [];
  const line = new ShortestFirst();
  let came = 0;
  const more = (): void => {
    if (++came < 1000 && told.filter((name) => name === 'long').length < 4) void line.run(work('short', 1, told, more));
  };
  const long = line.run(work('long', 4, told));
  more();
  await long;
  assert.ok(told.length <= 12, `${told.length} pieces until four were done`);
});

test('what fails ends alone', async () => {
  const told: string[] = [];
  const line = new ShortestFirst();
  const failing = line.run({ left: () => 1, next: () => Promise.reject(new Error('broken')) });
  const other = line.run(work('other', 2, told));
  await assert.rejects(failing, /broken/);
  await other;
  await line.run(work('later', 1, told));
  assert.deepEqual(told, ['other', 'other', 'later']);
});
