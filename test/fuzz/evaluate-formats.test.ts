/** Damaged files of published formats are read or refused with a UserError, never anything else. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseFlickr8k, parseMsrvtt } from '../../client/cli/evaluate/formats/captions.js';
import { parseActivityNetQa, parseMsrvttQa, parseMsvdQa, parseNextQa, parseTgifFrameQa } from '../../client/cli/evaluate/formats/questions.js';
import { UserError } from '../../client/cli/failure.js';
import { seededRandom } from '../../model/runtime/random.js';
import { fixture } from '../helpers/fixtures.js';

const ROUNDS = 400;
const PIECES = ['"', ',', '\t', '\n', '[', ']', '{', '}', ':', '#', '\u0000', '\ud800', 'null', '1e999', '-1', '__proto__', '\\u', '\ufeff'];

/** `text` with a few characters cut out, doubled, moved or replaced. */
function damaged(text: string, random: () => number): string {
  const at = (): number => Math.floor(random() * (text.length + 1));
  for (let change = 0; change <= random() * 4; change++) {
    const [a, b] = [at(), at()].sort((x, y) => x - y) as [number, number];
    const piece = PIECES[Math.floor(random() * PIECES.length)] ?? '';
    const kind = Math.floor(random() * 4);
    if (kind === 0) text = text.slice(0, a) + piece + text.slice(a);
    else if (kind === 1) text = text.slice(0, a) + piece + text.slice(a + 1);
    else if (kind === 2) text = text.slice(0, a) + text.slice(Math.min(b, a + 30));
    else text = text.slice(0, b) + text.slice(a, b) + text.slice(b);
  }
  return text;
}

const read = (name: string): string => readFileSync(fixture(`formats/${name}`), 'utf8');
const answers = read('activitynet/test_a.json');
const parsers: readonly (readonly [string, (text: string) => unknown])[] = [
  ['msvd/test_qa.json', (text) => parseMsvdQa(text, 'f', null)],
  ['msvd/youtube_mapping.txt', (text) => parseMsvdQa(read('msvd/test_qa.json'), 'f', text)],
  ['msrvtt/test_qa.json', (text) => parseMsrvttQa(text, 'f')],
  ['activitynet/test_q.json', (text) => parseActivityNetQa(text, 'q', answers, 'a')],
  ['activitynet/test_a.json', (text) => parseActivityNetQa(read('activitynet/test_q.json'), 'q', text, 'a')],
  ['tgif/Test_frameqa_question.csv', (text) => parseTgifFrameQa(text, 'f')],
  ['next/val.csv', (text) => parseNextQa(text, 'f')],
  ['flickr8k/Flickr8k.token.txt', (text) => parseFlickr8k(text, 'f', null)],
  ['flickr8k/captions.txt', (text) => parseFlickr8k(text, 'f', null)],
  ['flickr8k/Flickr_8k.testImages.txt', (text) => parseFlickr8k(read('flickr8k/Flickr8k.token.txt'), 'f', text)],
  ['msrvtt-captions/videodatainfo.json', (text) => parseMsrvtt(text, 'f', 'test')],
];

for (const [name, parse] of parsers) {
  test(`${name}, damaged in ${ROUNDS} ways`, () => {
    const random = seededRandom(name);
    const text = read(name);
    let refused = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const broken = damaged(text, random);
      try {
        parse(broken);
      } catch (error) {
        assert.ok(error instanceof UserError, `${String(error)} for ${JSON.stringify(broken)}`);
        refused++;
      }
    }
    assert.ok(name === 'msvd/youtube_mapping.txt' || refused > 0, 'nothing was refused');
  });
}
