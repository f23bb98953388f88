/** Addresses with the bytes of a video inside, made up and damaged: they give at most as many bytes as allowed, or an error of the table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../server/errors.js';
import { dataUrlBytes } from '../../server/uploads/data-url.js';
import { randomNumbers } from '../helpers/random.js';
import { pick } from '../helpers/schema-fuzz.js';

const cases = Number(process.env['LATENTCHAT_FUZZ_CASES'] ?? 2000);
const seed = Number(process.env['LATENTCHAT_FUZZ_SEED'] ?? 1);
const MOST = 64;
const pieces = [
  'data:',
  'DATA:',
  'video/mp4',
  ';',
  ',',
  'base64',
  ';base64,',
  'codecs="a,b"',
  '%',
  '%41',
  '%zz',
  '%C3',
  '=',
  '==',
  'AAAA',
  'A',
  '-_',
  '\n',
  ' ',
  '\u0000',
  '\ud800',
  '猫',
  'x'.repeat(400),
];

test('made-up addresses give bytes within the limit or an error with a code', () => {
  const random = randomNumbers(seed);
  const codes = new Set<string>();
  for (let count = 0; count < cases; count++) {
    const url = `data:${Array.from({ length: Math.floor(random.uniform() * 8) }, () => pick(pieces, random)).join('')}`;
    try {
      const bytes = dataUrlBytes(url, MOST, 'url');
      assert.ok(bytes.length > 0 && bytes.length <= MOST, JSON.stringify(url));
    } catch (error) {
      assert.ok(error instanceof ApiError && error.param === 'url', JSON.stringify(url));
      codes.add(error.code);
    }
  }
  assert.deepEqual([...codes].sort(), ['empty_file', 'invalid_data_url', 'upload_too_large']);
});

test('bytes come back as they were, however they are written', () => {
  const random = randomNumbers(seed + 1);
  for (let count = 0; count < cases; count++) {
    const bytes = Buffer.from(
      Array.from({ length: 1 + Math.floor(random.uniform() * MOST) }, () => Math.floor(random.uniform() * 256)),
    );
    const base64 = bytes.toString(pick(['base64', 'base64url'], random));
    const broken = [...base64]
      .map((digit) => (random.uniform() < 0.1 ? `${digit}${pick(['\n', '\r\n', ' ', '%0A', '%20'], random)}` : digit))
      .join('');
    const escaped = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
    const url = pick(
      [
        `data:;base64,${base64}`,
        `data:video/mp4;base64,${broken}`,
        `data:video/mp4;base64,${encodeURIComponent(base64)}`,
        `data:video/mp4,${escaped}`,
      ],
      random,
    );
    assert.deepEqual(dataUrlBytes(url, MOST, 'url'), bytes, url);
  }
});
