import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { App } from '../../server/api/typed.js';
import { buildApp } from '../../server/index.js';
import { TestFolder } from '../helpers/folder.js';

let folder: TestFolder;
let app: App;

before(async () => {
  folder = await TestFolder.make();
  const packDir = path.join(folder.path, 'no-pack');
  app = await buildApp({ dataDir: path.join(folder.path, 'data'), packDir, logLevel: 'silent', publicUrls: ['https://example.com/video/'], trustProxy: ['10.0.0.0/8'] });
  app.get('/address', (request) => ({ ip: request.ip }));
  await app.ready();
});
after(async () => {
  await app.close();
  await folder.remove();
});

const status = async (headers: Record<string, string>): Promise<number> => (await app.inject({ url: '/v1/videos', headers })).statusCode;

test('without keys the host of a public address is answered to, and no other', async () => {
  assert.equal(await status({ host: 'example.com' }), 200);
  assert.equal(await status({ host: 'EXAMPLE.com:443' }), 200);
  assert.equal(await status({ host: 'localhost:7860' }), 200);
  for (const host of ['example.org', 'video.example.com', 'example.com.evil.org']) assert.equal(await status({ host }), 403, host);
  assert.equal(await status({ host: 'evil.org', 'x-forwarded-host': 'example.com' }), 403);
});

test('a page at a public address may ask, whatever Host its proxy sends; others may not', async () => {
  for (const host of ['127.0.0.1:7860', 'example.com', 'localhost']) {
    assert.equal(await status({ host, origin: 'https://example.com' }), 200, host);
    for (const origin of ['http://example.com', 'https://example.com:8443', 'https://evil.org', 'null']) assert.equal(await status({ host, origin }), 403, `${origin} at ${host}`);
  }
});

test('X-Forwarded-For is believed of the proxies that are named, and of nobody else', async () => {
  const headers = { host: 'localhost', 'x-forwarded-for': '203.0.113.7' };
  assert.deepEqual((await app.inject({ url: '/address', headers, remoteAddress: '10.1.2.3' })).json(), { ip: '203.0.113.7' });
  assert.deepEqual((await app.inject({ url: '/address', headers, remoteAddress: '192.0.2.1' })).json(), { ip: '192.0.2.1' });
});

test('the address of a new upload is relative to the one that was asked, so that a path of the proxy stays in it', async () => {
  const created = await app.inject({ method: 'POST', url: '/v1/uploads', headers: { host: 'localhost', 'tus-resumable': '1.0.0', 'upload-length': '5' } });
  assert.equal(created.statusCode, 201);
  const { href } = new URL(String(created.headers.location), 'https://example.com/video/v1/uploads');
  assert.match(href, /^https:\/\/example\.com\/video\/v1\/uploads\/vid_[0-9a-f]{24}$/);
});
