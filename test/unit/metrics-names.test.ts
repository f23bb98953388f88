import assert from 'node:assert/strict';
import test from 'node:test';
import { namesOne, namesRight, parseNames } from '../../client/metrics/names.js';
import { tellsWhatIsThere } from '../../client/metrics/truth.js';

const NAMES = parseNames('file\tmust\tanimals\nbunny.mp4\trabbit|bunny|hare\trabbit|bunny|hare|squirrel\ncar.mp4\t\\bcar\\b\t\n', 'names.tsv');

void test('a caption names a clip right when it holds one of the words and no other animal', () => {
  const bunny = NAMES.get('bunny.mp4');
  assert.ok(bunny);
  assert.equal(namesRight('A white rabbit sits in the grass.', bunny), true);
  assert.equal(namesRight('A rabbit looks at a squirrel.', bunny), true);
  assert.equal(namesRight('A cat sits in the grass.', bunny), false);
  assert.equal(namesRight('A rabbit is chased by two dogs.', bunny), false);
});

void test('where no animal may be named, one makes a caption wrong', () => {
  const car = NAMES.get('car.mp4');
  assert.ok(car);
  assert.equal(namesRight('A red car drives on a road.', car), true);
  assert.equal(namesRight('A cartoon shows a road.', car), false);
  assert.equal(namesRight('A car drives past a horse.', car), false);
});

void test('a table without its columns, or with an expression that is none, is refused by its name', () => {
  assert.throws(() => parseNames('a\tb\n', 'names.tsv'), /names\.tsv: the first line must name the columns/);
  assert.throws(() => parseNames('file\tmust\tanimals\na.mp4\t(\t\n', 'names.tsv'), /names\.tsv: "\(" is no regular expression/);
  assert.throws(() => parseNames('file\tmust\tanimals\na.mp4\n', 'names.tsv'), /line 2/);
});

void test('one of several words is named where it stands as a word, also in the plural', () => {
  assert.equal(namesOne('Two golden retrievers run.', ['golden retriever', 'dog']), true);
  assert.equal(namesOne('A bus stands there.', ['bus']), true);
  assert.equal(namesOne('Buses stand there.', ['bus']), true);
  assert.equal(namesOne('A business man.', ['bus']), false);
  assert.equal(namesOne('', ['bus']), false);
});

void test('a caption tells what is there when people used half of its words', () => {
  const people = ['a man is cooking in a kitchen', 'someone fries onions in a pan'];
  assert.equal(tellsWhatIsThere('A man cooks in the kitchen.', people), true);
  assert.equal(tellsWhatIsThere('A man frying an onion.', people), true);
  assert.equal(tellsWhatIsThere('A woman rides a horse in the kitchen.', people), false);
  assert.equal(tellsWhatIsThere('There is the', people), false);
});
