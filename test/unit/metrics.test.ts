import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { exactMatch, firstWordMatch, normaliseAnswer, scoreAnswers, vqaAccuracy } from '../../client/metrics/answers.js';
import { bootstrapMean } from '../../client/metrics/bootstrap.js';
import { scoreCaptions, type CaptionItem } from '../../client/metrics/captions.js';
import { tokenise } from '../../client/metrics/ptb-tokenise.js';
import { fixture } from '../helpers/fixtures.js';

interface ScoreFixture {
  readonly expected: { readonly bleu: number[]; readonly rouge_l: number; readonly cider_d: number; readonly rouge_l_items: number[]; readonly cider_d_items: number[] };
  readonly items: readonly CaptionItem[];
}

function close(actual: number, expected: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= 1e-6, `${what}: ${actual}, pycocoevalcap ${expected}`);
}

describe('caption scores', () => {
  const { expected, items } = JSON.parse(readFileSync(fixture('metrics/captions.json'), 'utf8')) as ScoreFixture;

  test('equal pycocoevalcap on 1,000 sets to 1e-6, blank captions among them', () => {
    assert.equal(items.length, 1000);
    const scores = scoreCaptions(items);
    [scores.bleu1, scores.bleu2, scores.bleu3, scores.bleu4].forEach((bleu, k) => close(bleu, expected.bleu[k] ?? NaN, `BLEU-${k + 1}`));
    close(scores.rouge_l, expected.rouge_l, 'ROUGE-L');
    close(scores.cider_d, expected.cider_d, 'CIDEr-D');
    scores.rouge_l_items.forEach((score, i) => close(score, expected.rouge_l_items[i] ?? NaN, `ROUGE-L of item ${i}`));
    scores.cider_d_items.forEach((score, i) => close(score, expected.cider_d_items[i] ?? NaN, `CIDEr-D of item ${i}`));
  });

  test('a perfect caption among others has CIDEr-D 10 and BLEU 1', () => {
    const perfect = ['one red bus stops here', 'two small boats sail away', 'three old men play chess'].map((caption) => ({ caption, references: [caption] }));
    const scores = scoreCaptions(perfect);
    close(scores.cider_d, 10, 'CIDEr-D');
    close(scores.bleu4, 1, 'BLEU-4');
    close(scores.rouge_l, 1, 'ROUGE-L');
  });

  test('tokens equal those of the reference tokeniser, edge cases included', () => {
    const cases = JSON.parse(readFileSync(fixture('metrics/tokens.json'), 'utf8')) as { caption: string; tokens: string[] }[];
    assert.ok(cases.length >= 16);
    for (const { caption, tokens } of cases) assert.deepEqual(tokenise(caption), tokens, caption);
  });

  test('pictographs and blank captions have no tokens', () => {
    assert.deepEqual(tokenise(' \t '), []);
    assert.deepEqual(tokenise('\u{1F600}'), []);
    assert.deepEqual(tokenise('dog \u{1F600}\u{1F600}!'), ['dog']);
  });
});

describe('answer scores', () => {
  test('normalisation drops articles, punctuation and case, and spells numbers as digits', () => {
    assert.equal(normaliseAnswer('The two dogs.'), '2 dogs');
    assert.equal(normaliseAnswer('a T-shirt'), 't shirt');
    assert.equal(normaliseAnswer('1,000 people'), '1000 people');
    assert.equal(normaliseAnswer('3.5 meters'), '3.5 meters');
    assert.equal(normaliseAnswer("It's \u201cred\u201d!"), "it's red");
    assert.equal(normaliseAnswer('dont know'), "don't know");
    assert.equal(normaliseAnswer("the dogs'"), 'dogs');
    assert.equal(normaliseAnswer('none'), '0');
    assert.equal(normaliseAnswer('at 10:30'), 'at 10:30');
    assert.equal(normaliseAnswer('he couldntve'), "he couldn't've");
    assert.equal(normaliseAnswer("couldn'tve"), "couldn't've");
  });

  test('a mark beside a space goes away everywhere, any other parts two words', () => {
    assert.equal(normaliseAnswer('black/white'), 'black white');
    assert.equal(normaliseAnswer('t-shirt - red'), 'tshirt red');
    assert.equal(normaliseAnswer('yes, he is!'), 'yes he is');
    assert.equal(normaliseAnswer('1,000-2,000'), '10002000');
  });

  test('exact match accepts any of the answers and nothing else', () => {
    assert.equal(exactMatch('A dog', ['cat', 'Dog.']), 1);
    assert.equal(exactMatch('a dog and a cat', ['cat', 'dog']), 0);
    assert.equal(exactMatch('', ['cat']), 0);
  });

  test('yes and no are told by the first word', () => {
    assert.equal(firstWordMatch('No, there is no dog.', ['No.']), 1);
    assert.equal(firstWordMatch('no', ['yes', 'No']), 1);
    assert.equal(firstWordMatch('Yes, there is no dog', ['No.']), 0);
    assert.equal(firstWordMatch('None', ['No']), 0);
    assert.equal(firstWordMatch('', ['']), 0);
  });

  test('VQA accuracy is the mean over leaving one person out', () => {
    const people = ['red', 'red', 'red', 'blue', 'blue', 'green', 'pink', 'pink', 'grey', 'black'];
    assert.ok(Math.abs(vqaAccuracy('Red', people) - (3 * (2 / 3) + 7 * 1) / 10) < 1e-12);
    assert.ok(Math.abs(vqaAccuracy('blue', people) - (2 * (1 / 3) + 8 * (2 / 3)) / 10) < 1e-12);
    assert.equal(vqaAccuracy('white', people), 0);
    assert.equal(vqaAccuracy('yes', ['yes']), 1);
    assert.equal(vqaAccuracy('yes', ['yes', 'yes']), 1);
  });

  test('the bootstrap interval holds the mean, narrows with the sample, and is the same every time', () => {
    const half = (count: number): number[] => Array.from({ length: count }, (_, i) => i % 2);
    const [few, many] = [bootstrapMean(half(40)), bootstrapMean(half(4000))];
    assert.equal(few.mean, 0.5);
    // The normal approximation gives 0.5 +- 1.96 * 0.5 / sqrt(n).
    assert.ok(Math.abs(few.interval[1] - 0.655) < 0.03 && Math.abs(few.interval[0] - 0.345) < 0.03, String(few.interval));
    assert.ok(Math.abs(many.interval[1] - 0.5155) < 0.002, String(many.interval));
    assert.deepEqual(bootstrapMean(half(40)), few);
  });

  test('figures are given for all questions and for each type', () => {
    const scores = scoreAnswers([
      { answer: 'yes', answers: ['yes'], type: 'yes/no' },
      { answer: 'no', answers: ['yes'], type: 'yes/no' },
      { answer: '2', answers: ['two'], type: 'number' },
      { answer: 'x', answers: ['y'], type: null },
    ]);
    assert.deepEqual([scores.count, scores.exact_match], [4, 0.5]);
    assert.deepEqual([scores.types['yes/no']?.count, scores.types['yes/no']?.exact_match, scores.types['yes/no']?.vqa_accuracy], [2, 0.5, 0.5]);
    assert.deepEqual(scores.types['number'], { count: 1, exact_match: 1, exact_match_interval: [1, 1], vqa_accuracy: 1, vqa_accuracy_interval: [1, 1] });
    assert.deepEqual(scores.items, [1, 0, 1, 0]);
  });
});
