import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';

const folder = path.join(import.meta.dirname, '../../../weights/default');
const manifest = JSON.parse(await readFile(path.join(folder, 'pack.json'), 'utf8')) as {
  files: Record<string, { sha256: string; bytes: number }>;
  licences: { file: string }[];
};
const names = (await readdir(folder)).filter((name) => name !== 'pack.json').sort();

test('pack.json lists every file of the default pack', () => {
  assert.deepEqual(Object.keys(manifest.files).sort(), names);
});

test('every file of the default pack has the size and sha256 that pack.json gives', async () => {
  for (const name of names) {
    const bytes = await readFile(path.join(folder, name));
    assert.equal(bytes.length, manifest.files[name]?.bytes, name);
    assert.equal(createHash('sha256').update(bytes).digest('hex'), manifest.files[name]?.sha256, name);
  }
});

test('the default pack stays below 150 MB, each of its files below 45 MB', async () => {
  const sizes = await Promise.all(names.map(async (name) => (await stat(path.join(folder, name))).size));
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 150e6);
  assert.ok(Math.max(...sizes) < 45e6);
});

test('every licence that pack.json names lies in the pack', () => {
  for (const { file } of manifest.licences) assert.ok(names.includes(file), file);
});
