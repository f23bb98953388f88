import assert from 'node:assert/strict';
import { test } from 'node:test';
import { argmax, logProbability, Sampler } from '../../model/language/index.js';

const logits = (): Float32Array => Float32Array.of(0, 2, 1, -3, 2);

/** How often each token is drawn. */
function counts(sampler: Sampler, draws: number): number[] {
  const seen = [0, 0, 0, 0, 0];
  for (let i = 0; i < draws; i++) {
    const token = sampler.next(logits());
    seen[token] = (seen[token] as number) + 1;
  }
  return seen;
}

test('greedy takes the likeliest token, the first of equals', () => {
  assert.equal(argmax(logits()), 1);
  assert.equal(new Sampler().next(logits()), 1);
  assert.equal(new Sampler({ temperature: 0, topP: 0.1, seed: 9 }).next(logits()), 1);
});

test('log probabilities are those of the softmax', () => {
  const total = [0, 1, 2, 3, 4].reduce((sum, token) => sum + Math.exp(logProbability(logits(), token)), 0);
  assert.ok(Math.abs(total - 1) < 1e-12);
  assert.ok(Math.abs(logProbability(logits(), 1) - logProbability(logits(), 2) - 1) < 1e-12);
  // Far from zero, where a plain exponential would overflow.
  assert.ok(Math.abs(logProbability(Float32Array.of(1000, 1000), 0) + Math.LN2) < 1e-12);
});

test('the same seed gives the same tokens, another seed others', () => {
  const draw = (seed: number): number[] => {
    const sampler = new Sampler({ temperature: 1.5, seed });
    return Array.from({ length: 40 }, () => sampler.next(logits()));
  };
  assert.deepEqual(draw(1), draw(1));
  assert.notDeepEqual(draw(1), draw(2));
});

test('sampling follows the probabilities at the temperature', () => {
  const draws = 20_000;
  const seen = counts(new Sampler({ temperature: 2, seed: 3 }), draws);
  const weights = [...logits()].map((logit) => Math.exp(logit / 2));
  const total = weights.reduce((a, b) => a + b);
  for (const [token, weight] of weights.entries()) {
    const [expected, measured] = [weight / total, (seen[token] as number) / draws];
    assert.ok(Math.abs(expected - measured) < 0.015, `token ${token}: ${measured}, expected ${expected}`);
  }
});

test('a nucleus leaves out the unlikely', () => {
  // Probabilities are about .08 .38 .14 .02 .38: 0.75 is reached by the two likeliest.
  const seen = counts(new Sampler({ temperature: 1, topP: 0.75, seed: 4 }), 400);
  assert.deepEqual([seen[0], seen[2], seen[3]], [0, 0, 0]);
  assert.ok((seen[1] as number) > 100 && (seen[4] as number) > 100);
});

test('the frequency penalty counts how often a token was written, the presence penalty whether it was', () => {
  const near = (): Float32Array => Float32Array.of(0, 2, 1.75, -3, 1.2);
  const draw = (options: ConstructorParameters<typeof Sampler>[0]): number[] => {
    const sampler = new Sampler(options);
    return Array.from({ length: 5 }, () => sampler.next(near()));
  };
  // 2 - 0.5, then 1.75 - 0.5, then 2 - 1 is below 1.2.
  assert.deepEqual(draw({ frequencyPenalty: 0.5 }), [1, 2, 1, 2, 4]);
  assert.deepEqual(draw({ presencePenalty: 0.5 }), [1, 2, 1, 1, 1]);
  assert.deepEqual(draw({ frequencyPenalty: -0.1, presencePenalty: 0 }), [1, 1, 1, 1, 1]);
  assert.throws(() => new Sampler({ presencePenalty: 11 }), /presencePenalty is 11/);
});

test('the repetition penalty lowers tokens already written, positive or negative', () => {
  const sampler = new Sampler({ repetitionPenalty: 2 });
  assert.deepEqual([1, 2, 3].map(() => sampler.next(Float32Array.of(0, 2, 1.5, -3, 1.9))), [1, 4, 2]);
  const negative = new Sampler({ repetitionPenalty: 2 });
  assert.deepEqual([1, 2].map(() => negative.next(Float32Array.of(-1, -1.5))), [0, 1]);
});

for (const [option, value] of [['temperature', -1], ['temperature', Number.NaN], ['topP', 0], ['topP', 1.1], ['repetitionPenalty', 0], ['seed', 0.5]] as const) {
  test(`${option} ${value} is refused by name`, () => {
    assert.throws(() => new Sampler({ [option]: value }), (error) => error instanceof RangeError && error.message.startsWith(option));
  });
}
