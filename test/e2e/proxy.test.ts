/** The page, uploads, chats and the socket behind the real nginx with TLS, as docs/proxy.md has it and with less. */
import assert from 'node:assert/strict';
import https from 'node:https';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { DemoServer } from '../helpers/demo-server.js';
import { TestFolder } from '../helpers/folder.js';
import { freePort, missingForNginx, Nginx } from '../helpers/nginx.js';
import { randomNumbers } from '../helpers/random.js';
import { answered, behaved, Chromium, dropFile, painted } from './page-harness.js';

const missing = missingForNginx();
const options = missing === null ? {} : { skip: missing };
/** What nginx needs to be told for the socket. */
const socket = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;';

let folder: TestFolder;
let demo: DemoServer;
let nginx: Nginx;
let browser: Chromium;
let origin: string;

before(async () => {
  if (missing !== null) return;
  folder = await TestFolder.make();
  const port = await freePort();
  origin = `https://localhost:${port}`;
  [demo, browser] = await Promise.all([DemoServer.start({ threads: 1, logLevel: 'error', publicUrls: [`${origin}/video/`], trustProxy: ['loopback'], encode: { preset: 'draft', seconds: 2 } }), Chromium.start()]);
  const server = demo.process.url;
  nginx = await Nginx.start(
    folder,
    port,
    `location / { proxy_pass ${server}; ${socket} proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
       client_max_body_size 0; proxy_request_buffering off; proxy_buffering off; }
     location /video/ { proxy_pass ${server}/; ${socket} }
     location /bare/ { proxy_pass ${server}/; }`,
  );
});
after(async () => {
  if (missing !== null) return;
  await browser.close();
  await nginx.stop();
  await demo.stop();
  await folder.remove();
});

/** A photo of noise: no format makes it small. */
async function largePhoto(): Promise<Buffer> {
  const [side, random] = [800, randomNumbers(3)];
  const data = Uint8Array.from({ length: side * side * 3 }, () => random.uniform() * 256);
  return sharp(data, { raw: { width: side, height: side, channels: 3 } }).png().toBuffer();
}

for (const [place, what] of [['/', 'at the root of a host'], ['/video/', 'below a path, with the proxy\'s own Host and its limit of 1 MiB a request']] as const) {
  test(`behind nginx ${what}: the page opens, a file is uploaded, a question answered over the socket`, options, async () => {
    const { page, conduct } = await browser.open(origin + place, { ignoreHTTPSErrors: true });
    await page.locator('.library-item', { hasText: 'bunny' }).click();
    await painted(page, '.stage-canvas');
    await page.getByRole('button', { name: 'What is happening?' }).click();
    assert.ok((await answered(page)).length > 10);

    const photo = await largePhoto();
    assert.ok(photo.length > 1.5 * 1024 * 1024, `${photo.length} bytes`);
    const name = `noise${place.replaceAll('/', '-')}.png`;
    await dropFile(page, name, 'image/png', photo);
    await page.locator('.player-title', { hasText: name }).waitFor();
    await page.getByRole('textbox', { name: /Ask about/ }).and(page.locator(':enabled')).fill('What is this?');
    await page.getByRole('button', { name: 'Send', exact: true }).and(page.locator(':enabled')).click();
    assert.ok((await answered(page)).length > 2);
    // The refusal of a request that was too large for nginx is what the page goes on from.
    conduct.complaints.splice(0, Infinity, ...conduct.complaints.filter((complaint) => !complaint.includes('413')));
    await behaved(page, conduct);
  });
}

function status(place: string, headers: Record<string, string> = {}): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    https.get(origin + place, { ca: nginx.authority, headers }, (answer) => resolve(answer.resume().statusCode)).on('error', reject);
  });
}

test('pages of other origins are refused behind a proxy as well', options, async () => {
  for (const place of ['/', '/video/']) {
    assert.equal(await status(`${place}v1/videos`), 200);
    assert.equal(await status(`${place}v1/videos`, { origin }), 200);
    assert.equal(await status(`${place}v1/videos`, { origin: 'https://other.example' }), 403);
  }
});

test('a socket that a proxy does not pass on is told what is missing', options, async () => {
  assert.equal(await status('/bare/v1/realtime'), 426);
});
