import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { TestFolder } from '../helpers/folder.js';
import { makeVideo } from '../helpers/videos.js';
import { dropFile, painted, screenshot, Site } from './page-harness.js';

let site: Site;
let files: TestFolder;

before(async () => {
  [site, files] = await Promise.all([Site.start(), TestFolder.make()]);
});
after(async () => {
  await site.stop();
  await files.remove();
});

test('a dropped video uploads, becomes askable, shows its first pictures and sharpens; then it can be removed', async () => {
  const { page, conduct } = await site.open();
  const video = await makeVideo({ width: 160, height: 96, picture: movingSquare });
  await dropFile(page, 'square.mp4', 'video/mp4', video);
  const entry = page.locator('.library-row', { hasText: 'square.mp4' });
  await entry.waitFor();
  await page.locator('.player-title', { hasText: 'square.mp4' }).waitFor();
  await page.locator('.steps').waitFor();
  await page.getByText('You can ask now.').waitFor({ timeout: 60_000 });
  await screenshot(page, 'upload-askable-light-1600');
  assert.ok(await page.getByRole('button', { name: 'What is happening?' }).isEnabled());

  await painted(page, '.stage-canvas:not(.is-latents)');
  await page.locator('.steps').waitFor({ state: 'hidden', timeout: 120_000 });
  assert.match(await page.locator('.facts').innerText(), /\d\.\d dB/);
  assert.match(await entry.innerText(), /0:01 · [\d.]+ kB/);
  await screenshot(page, 'upload-ready-light-1600');

  await entry.getByRole('button', { name: 'Remove square.mp4' }).click();
  const dialog = page.getByRole('dialog', { name: 'Remove this video?' });
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  assert.equal(await entry.count(), 1, 'Escape removes nothing');
  await entry.getByRole('button', { name: 'Remove square.mp4' }).click();
  await screenshot(page, 'remove-light-1600');
  await dialog.getByRole('button', { name: 'Remove', exact: true }).click();
  await entry.waitFor({ state: 'detached' });
  assert.deepEqual(conduct.complaints, []);
  await page.context().close();
});

test('news of a video that overtakes the answer to its upload shows no second row', async () => {
  const { page } = await site.open();
  const photo = await sharp(movingSquare(3, 64, 40), { raw: { width: 64, height: 40, channels: 3 } }).jpeg().toBuffer();
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => { release = resolve; });
  await page.route('**/v1/uploads/*', async (route) => {
    const answer = await route.fetch();
    await released;
    await route.fulfill({ response: answer });
  });
  await page.setInputFiles('input[type=file]', { name: 'early.jpg', mimeType: 'image/jpeg', buffer: photo });
  const rows = page.locator('.library-row', { hasText: 'early.jpg' });
  await rows.waitFor();
  const other = await site.open();
  await other.page.locator('.library-row', { hasText: 'early.jpg' }).waitFor();
  await page.waitForTimeout(500);
  assert.equal(await rows.count(), 1, 'the upload alone, while its answer is on the way');
  release();
  await page.locator('.player-title', { hasText: 'early.jpg' }).waitFor();
  assert.equal(await rows.count(), 1, 'the video alone');
  await Promise.all([page.context().close(), other.page.context().close()]);
});

test('a chosen photo is a video of one frame: no timeline, and it is asked about as a photo', async () => {
  const { page, conduct } = await site.open();
  const photo = await sharp(movingSquare(5, 320, 200), { raw: { width: 320, height: 200, channels: 3 } }).jpeg().toBuffer();
  await page.setInputFiles('input[type=file]', { name: 'still.jpg', mimeType: 'image/jpeg', buffer: photo });
  await page.locator('.player-title', { hasText: 'still.jpg' }).waitFor();
  await painted(page, '.stage-canvas:not(.is-latents)', 120_000);
  for (const name of ['Position', 'Frame on the map']) assert.equal(await page.getByRole('slider', { name }).count(), 0, name);
  assert.ok(await page.getByRole('group', { name: 'Speed' }).isHidden());
  await page.getByRole('textbox', { name: 'Ask about this photo' }).fill('What is in it?');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Answer again' }).waitFor({ timeout: 120_000 });
  await screenshot(page, 'photo-light-1600');
  assert.deepEqual(conduct.complaints, []);
  await page.context().close();
});

test('a file that is no video fails with its reason, where the viewer looks, and an empty one is never sent', async () => {
  const { page } = await site.open();
  await page.setInputFiles('input[type=file]', { name: 'letter.mp4', mimeType: 'video/mp4', buffer: Buffer.from('Dear Sir or Madam, this is no video at all.') });
  const row = page.locator('.library-row.is-failed', { hasText: 'letter.mp4' });
  await row.waitFor();
  const reason = await Promise.race([
    page.locator('.stage-overlay', { hasText: 'could not be read' }).innerText(),
    row.locator('.library-meta', { hasNotText: /^Failed$/ }).innerText(),
  ]);
  assert.match(reason, /video|photo|read/);
  await screenshot(page, 'failed-light-1600');

  await page.setInputFiles('input[type=file]', { name: 'nothing.mp4', mimeType: 'video/mp4', buffer: Buffer.alloc(0) });
  const empty = page.locator('.library-row', { hasText: 'The file is empty.' });
  await empty.waitFor();
  await page.getByRole('button', { name: 'Dismiss nothing.mp4' }).click();
  await empty.waitFor({ state: 'detached' });
  await page.context().close();
});

test('a server that goes away is told of, and the page is whole again when it is back', async () => {
  const { page } = await site.open();
  await page.locator('.chip').first().click();
  await page.getByRole('button', { name: 'Answer again' }).waitFor({ timeout: 120_000 });
  const answer = await page.locator('.message.is-assistant .message-text').innerText();
  await site.server.kill();
  await page.getByText('The server does not answer.').waitFor();
  await page.getByRole('textbox', { name: 'Not connected' }).fill('Are you there?');
  assert.ok(await page.getByRole('button', { name: 'Send' }).isDisabled());
  await screenshot(page, 'offline-light-1600');

  await site.server.start();
  await page.getByText('The server does not answer.').waitFor({ state: 'hidden', timeout: 60_000 });
  assert.ok(await page.getByRole('button', { name: 'Send' }).isEnabled(), 'what was typed is kept and can be sent');
  assert.equal(await page.locator('.message.is-assistant .message-text').innerText(), answer);
  await page.context().close();
});

/** A bright square that crosses a shaded ground. RGB (height, width, 3). */
function movingSquare(frame: number, width: number, height: number): Uint8Array {
  const data = new Uint8Array(width * height * 3);
  const side = Math.round(height / 3);
  const left = Math.round(((width - side) * frame) / 10);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const inside = x >= left && x < left + side && y >= side && y < 2 * side;
      data.set(inside ? [240, 190, 40] : [30 + (60 * y) / height, 70 + (60 * x) / width, 120], (y * width + x) * 3);
    }
  }
  return data;
}
