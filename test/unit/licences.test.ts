/** NOTICE and docs/licences.md name what an installation holds under terms that ask something of those who pass it on. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';

const root = new URL('../../../', import.meta.url);
const read = (name: string): Promise<string> => readFile(new URL(name, root), 'utf8');

/** Terms that ask for no more than their own text to be kept. */
const permissive = /^\(?(MIT|ISC|0BSD|BSD-[23]-Clause|Apache-2\.0|BlueOak-1\.0\.0|Unlicense|CC0-1\.0|AFL-2\.1|Python-2\.0)( (OR|AND) [\w.-]+)*\)?$/;

interface Package {
  readonly license?: string;
  readonly dev?: boolean;
  /** A package of this repository, which has an entry of its own. */
  readonly link?: boolean;
}

/** A package's name, without the platform that its binary is for. */
const nameOf = (place: string): string => place.replace(/^.*node_modules\//, '').replace(/-(linux|linuxmusl|darwin|win32|wasm32)\b.*$/, '');

test('every package that is not under a permissive licence is named with it', async () => {
  const { packages } = JSON.parse(await read('package-lock.json')) as { packages: Record<string, Package> };
  const asking = Object.entries(packages).filter(([place, { license, dev, link }]) => place !== '' && !dev && !link && !permissive.test(license ?? ''));
  assert.ok(asking.length >= 3, 'the lock file tells licences');
  for (const page of ['NOTICE', 'docs/licences.md']) {
    const text = await read(page);
    for (const [place, { license = 'no licence' }] of asking) assert.ok(text.includes(nameOf(place)), `${page} does not name ${nameOf(place)} (${license})`);
  }
});

test('the terms of FFmpeg, which its package does not tell, are told as its binary has them', async () => {
  const platforms = new URL('node_modules/@seydx/', root);
  const [platform] = await readdir(platforms);
  const binary = await readFile(new URL(`${platform}/node-av.node`, platforms));
  for (const page of ['NOTICE', 'docs/licences.md']) {
    const text = await read(page);
    assert.equal(text.includes('GPL-3.0-or-later'), binary.includes('--enable-gpl --enable-version3'), page);
    assert.equal(text.includes('libfdk-aac'), binary.includes('--enable-libfdk-aac'), page);
  }
});
