/** What is known of an answer without a model: its kind, what its question takes for granted, whether it is asked about again, and what is said of doubt. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { confidenceBy, doubtOf, kindOf, takenForGranted, withoutDoubt, WITNESSES, type Testimony } from '../../projector/confidence.js';
import { followUpOf } from '../../projector/follow-ups.js';
import type { ChatMessage, VideoPart } from '../../projector/messages.js';
import { withoutOpening } from '../../projector/moments.js';

const VIDEO: VideoPart = { type: 'video', id: 'clip', latents: new Float32Array(4), dim: 2, times_s: [0, 1], version: '1' };

const user = (text: string, ...videos: readonly VideoPart[]): ChatMessage => ({ role: 'user', content: [...videos, { type: 'text', text }] });
const assistant = (text: string): ChatMessage => ({ role: 'assistant', content: [{ type: 'text', text }] });

test('answers are told apart by how they begin and how long they are', () => {
  assert.equal(kindOf('Yes, there is a dog.'), 'yes_no');
  assert.equal(kindOf('No.'), 'yes_no');
  assert.equal(kindOf('Nobody.'), 'words');
  assert.equal(kindOf('Dark blue.'), 'words');
  assert.equal(kindOf('A dog runs over the grass.'), 'sentence');
});

test('a question takes for granted what it calls by "the", and nothing where it asks whether something is there', () => {
  const cases: readonly (readonly [string, string | null])[] = [
    ['What color is the mat?', 'mat'],
    ['What colour are the curtains in the video?', 'curtains'],
    ['Where is the red car?', 'red car'],
    ['What is the man wearing?', 'man'],
    ['Who is the woman with the hat?', 'woman'],
    ['How big is the dog on the left?', 'dog'],
    ['Is there a mat?', null],
    ['What is happening?', null],
    ['What is the video about?', null],
    ['What is in the picture?', null],
    ['How many people are there?', null],
  ];
  for (const [question, thing] of cases) assert.equal(takenForGranted(question), thing, question);
});

const TESTIMONY: Testimony = {
  kind: 'words',
  evidence: { likelihood: -2, least: -3, likeness: 0.2, agrees: 0, named: 0, unnamed: 0, presence: 0 },
  missing: null,
};
const SILENT = { bias: 0, weights: WITNESSES.map(() => 0) };

test('confidence is a logistic regression of the kind of answer, and below its limit the answer is doubted in words', () => {
  const words = { bias: 1, weights: WITNESSES.map((witness) => (witness === 'likelihood' ? 2 : 0)) };
  const config = { doubt: 0.4, kinds: { yes_no: SILENT, words, sentence: SILENT } };
  const confidence = confidenceBy(config, TESTIMONY);
  assert.ok(Math.abs(confidence.probability - 1 / (1 + Math.exp(3))) < 1e-12);
  assert.equal(doubtOf(confidence), ' I am not sure of this.');
  assert.equal(doubtOf(confidenceBy(config, { ...TESTIMONY, missing: 'mat' })), ' I am not sure that there is a mat.');
  const sure = confidenceBy(config, { ...TESTIMONY, kind: 'sentence' });
  assert.equal(sure.probability, 0.5);
  assert.equal(doubtOf(sure), '');
});

test('doubts and seconds that were said around an answer are taken off it again', () => {
  assert.equal(withoutDoubt('Blue. I am not sure of this.'), 'Blue.');
  assert.equal(withoutDoubt('Blue. I am not sure that there is a mat.'), 'Blue.');
  assert.equal(withoutDoubt('I am sure of it.'), 'I am sure of it.');
  assert.equal(withoutOpening('From 1.0 s to 2.5 s: A dog runs.'), 'A dog runs.');
  assert.equal(withoutOpening('Perhaps in video 2 from 1.0 s to 2.5 s: A dog runs.'), 'A dog runs.');
  assert.equal(withoutOpening('I do not find that in the video. What comes nearest is from 0.0 s to 9.0 s: A dog runs.'), 'A dog runs.');
  assert.equal(withoutOpening('A dog runs from left to right: it is quick.'), 'A dog runs from left to right: it is quick.');
});

test('"Are you sure?" and "Why?" are about the answer before, also when they follow each other', () => {
  const told = [user('What color is the mat?', VIDEO), assistant('From 0.0 s to 1.0 s: Blue. I am not sure of this.')];
  for (const question of ['Are you sure?', 'are you really sure about that', 'Is that right?', 'Really?', 'But are you sure?']) {
    assert.deepEqual(followUpOf([...told, user(question)]), { asks: 'sure', asked: told.slice(0, 1), answer: 'Blue.' }, question);
  }
  for (const question of ['Why?', 'Why do you think so?', 'How do you know?', 'And how can you tell?', 'What makes you say that?']) {
    assert.equal(followUpOf([...told, user(question)])?.asks, 'why', question);
  }
  const again = [...told, user('Are you sure?'), assistant('No, I am not sure of it.'), user('Why?')];
  assert.deepEqual(followUpOf(again), { asks: 'why', asked: told.slice(0, 1), answer: 'Blue.' });
});

test('what only sounds like it is left to the language model', () => {
  const told = [user('What is this?', VIDEO), assistant('A dog.')];
  for (const question of ['Why is the dog running?', 'Are you sure the dog is brown?', 'Why not?', 'How do you know a good dog?']) {
    assert.equal(followUpOf([...told, user(question)]), null, question);
  }
  assert.equal(followUpOf([user('Are you sure?', VIDEO)]), null);
  assert.equal(followUpOf([user('Hello'), assistant('Hello!'), user('Are you sure?')]), null);
});
