/** Which questions ask when, and what they look for. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askedMoment } from '../../projector/index.js';

describe('a question that asks when', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['When does the dog jump?', 'the dog jump'],
    ['When is a man in a suit visible?', 'a man in a suit'],
    ['At what time does a cyclist appear in the video?', 'a cyclist'],
    ['When do we see a red car?', 'a red car'],
    ['And when does he jump?', 'he jump'],
    ['Can you tell me when the man pours the coffee?', 'the man pours the coffee'],
    ['Where in the video is the bird?', 'the bird'],
    ['Find the moment when someone juggles', 'someone juggles'],
    ['show me when the dog runs', 'the dog runs'],
    ['Which second shows a bike?', 'shows a bike'],
    ['At which point do you first see the rabbit?', 'the rabbit'],
    ['When is there snow?', 'snow'],
    ['At what time is a ball there?', 'a ball'],
    ['jump to the part with the bike', 'the bike'],
    ['When does a dog appear for the first time?', 'a dog'],
    ['  WHEN ARE TWO PEOPLE SHOWN???', 'two people'],
  ];
  for (const [question, words] of cases) test(`"${question}" looks for "${words}"`, () => assert.equal(askedMoment(question), words));
});

describe('any other question', () => {
  const cases = [
    'What happens when the dog jumps?', 'What color is the dog?', 'When?', 'when', 'When does it happen?', 'When was this filmed?', 'When was the video recorded?',
    'Wheneverland has dogs', 'Is there a dog?', '', '   ', '?!', 'Describe the moment the dog jumps',
  ];
  for (const question of cases) test(`"${question}" looks for nothing`, () => assert.equal(askedMoment(question), null));

  test('neither does a long text that begins as one', () => assert.equal(askedMoment(`When does the dog jump? ${'It is long. '.repeat(30)}`), null));
});
