/** What the page can do beyond asking and playing, in a real browser: slow motion, the latent map, editing, saving, reloading, the keyboard alone. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { demoDir } from '../helpers/demo-server.js';
import { answered, behaved, coloursOf, dropFile, painted, screenshot, Site } from './page-harness.js';
import { until } from '../helpers/eventually.js';

const question = 'Describe what you see in one sentence.';

let site: Site;

before(async () => {
  site = await Site.start();
});
after(() => site.stop());

test('slow motion draws moments between frames, life speed does not', async () => {
  const { page, conduct } = await site.open();
  // What the page asks of its decoder's worker.
  await page.addInitScript(() => {
    const asked: number[] = [];
    Object.assign(globalThis, { asked });
    const post = Worker.prototype.postMessage as (this: Worker, message: { op?: string; index?: number }) => void;
    Worker.prototype.postMessage = function (this: Worker, message: { op?: string; index?: number }) {
      if (message.op === 'frame' && message.index !== undefined) asked.push(message.index);
      post.call(this, message);
    } as typeof Worker.prototype.postMessage;
  });
  const between = (): Promise<number> => page.evaluate(() => (globalThis as unknown as { asked: number[] }).asked.filter((index) => !Number.isInteger(index)).length);
  await page.reload();
  await painted(page, '.timeline-strip');
  const slider = page.getByRole('slider', { name: 'Position' });
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await page.waitForFunction(() => Number(document.querySelector<HTMLInputElement>('.timeline-slider')?.value) > 2);
  assert.equal(await between(), 0);
  await page.getByRole('radio', { name: 'Eight times slower' }).check({ force: true });
  await slider.press('Home');
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await until(async () => (await between()) >= 2, 'moments between frames were decoded');
  assert.ok(Number(await slider.inputValue()) < 60, 'eight times slower it has not come far');
  await page.getByRole('button', { name: 'Pause' }).click();
  await behaved(page, conduct);
});

test('the latent map is loaded when it is opened, shows frames, and leads to them by pointer and by keyboard', async () => {
  const { page, conduct } = await site.open();
  await painted(page, '.stage-canvas');
  assert.ok(!conduct.requests.some((address) => address.includes('latent-map')), 'nothing of the map is loaded before');
  await page.locator('.map-summary').click();
  assert.ok((await coloursOf(page, '.map-canvas')) < 50);
  await painted(page, '.map-canvas');
  await page.locator('.map-note:empty').waitFor({ state: 'attached' });
  await painted(page, '.map-preview');
  const map = page.getByRole('slider', { name: 'Frame on the map' });
  const position = page.getByRole('slider', { name: 'Position' });

  // The points lie on a way from one frame to the next: somewhere along a grid one is within reach.
  const box = await map.boundingBox();
  assert.ok(box);
  for (let step = 0; step < 40 && (await position.inputValue()) === '0'; step += 1) {
    await map.click({ position: { x: box.width * (0.1 + 0.2 * (step % 5)), y: box.height * (0.95 - 0.12 * Math.floor(step / 5)) } });
  }
  const chosen = Number(await position.inputValue());
  assert.ok(chosen > 0, 'a press on the map leads to its frame');
  assert.match(await page.locator('.map-caption').innerText(), /seconds, frame \d+ of 132/);

  await map.focus();
  await page.keyboard.press('ArrowRight');
  assert.equal(Number(await position.inputValue()), Math.min(131, chosen + 1));
  await page.keyboard.press('Home');
  assert.match((await map.getAttribute('aria-valuetext')) ?? '', /frame 1 of 132/);
  await screenshot(page, 'map-light-1600');
  await behaved(page, conduct);
});

test('frames that are like the question light up on the timeline, without moving anything; where the server cannot compare, nothing does', async () => {
  const { page, conduct } = await site.open();
  const likeness = page.locator('.timeline-heat');
  await painted(page, '.timeline-strip');
  const before = await page.locator('.timeline').boundingBox();
  await page.getByRole('button', { name: question }).click();
  await likeness.waitFor();
  assert.deepEqual(await page.locator('.timeline').boundingBox(), before);
  // The frame it names is the one the server's search finds first, and the brightest of the strip.
  const videos = (await (await fetch(`${site.server.url}/v1/videos`)).json()) as { data: { id: string }[] };
  const found = await fetch(`${site.server.url}/v1/search`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ text: question, videos: [videos.data[0]?.id], scope: 'frames', limit: 1 }),
  });
  const best = ((await found.json()) as { data: { frame: number }[] }).data[0]?.frame ?? -1;
  assert.match(await page.locator('.timeline [role=status]').innerText(), /Most like .* at 0:0/);
  assert.equal(await likeness.evaluate((canvas) => {
    const { data } = (canvas as HTMLCanvasElement).getContext('2d')?.getImageData(0, 0, 132, 1) ?? { data: [] };
    return Array.from({ length: 132 }, (_, frame) => Number(data[4 * frame])).reduce((best, red, frame, all) => (red > Number(all[best]) ? frame : best), 0);
  }), best);
  await answered(page);
  await screenshot(page, 'likeness-light-1600');
  await page.getByRole('button', { name: 'New conversation' }).click();
  await likeness.waitFor({ state: 'hidden' });
  await page.route('**/v1/search', (route) => route.fulfill({ status: 404, json: {} }));
  await page.getByRole('button', { name: 'What is happening?' }).click();
  await answered(page);
  assert.ok(await likeness.isHidden());
  await behaved(page, conduct);
});

test('an answer that says when has its moments below it, and a press opens the decoded moment', async () => {
  const { page, conduct } = await site.open();
  await painted(page, '.stage-canvas');
  await page.getByRole('textbox', { name: /Ask about/ }).fill('When is a rabbit in the grass?');
  await page.keyboard.press('Enter');
  const said = await answered(page);
  const [, start_s] = /from ([\d.]+) s to/i.exec(said) ?? assert.fail(said);
  const position = page.getByRole('slider', { name: 'Position' });
  await position.press('End');
  await page.locator('.chip.moment').first().click();
  const shown = (await position.getAttribute('aria-valuetext')) ?? '';
  const [, minutes, seconds] = /^(\d+):([\d.]+) of/.exec(shown) ?? assert.fail(shown);
  // The answer's seconds are rounded, and frames are where they are.
  assert.ok(Math.abs(60 * Number(minutes) + Number(seconds) - Number(start_s)) < 0.3, `${shown} for ${said}`);
  await screenshot(page, 'moment-light-1600');
  await behaved(page, conduct);
});

test('a question is edited in its place, and the conversation is saved as a text file', async () => {
  const { page, conduct } = await site.open();
  await page.getByRole('button', { name: question }).click();
  await answered(page);
  await page.getByRole('textbox', { name: /Ask about/ }).fill('What colours are there?');
  await page.keyboard.press('Enter');
  await until(async () => (await page.locator('.message.is-user').count()) === 2, 'the second question is there');
  await answered(page);

  await page.locator('.message.is-user').first().hover();
  await page.getByRole('button', { name: 'Edit the question' }).first().click();
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('.message').count(), 4, 'Escape changes nothing');
  await page.getByRole('button', { name: 'Edit the question' }).first().press('Enter');
  await page.getByRole('textbox', { name: 'Edit the question' }).fill('Where is this?');
  await page.keyboard.press('Enter');
  const answer = await answered(page);
  assert.deepEqual(await page.locator('.message.is-user .message-text').allInnerTexts(), ['Where is this?'], 'what came after the question is taken back');

  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export' }).click()]);
  assert.equal(download.suggestedFilename(), 'bunny conversation.md');
  const saved = await readFile(await download.path(), 'utf8');
  assert.equal(saved, `# Conversation about bunny\n\n**You**\n\nWhere is this?\n\n**Answer**\n\n${answer}\n`);

  await page.reload();
  await page.locator('.message.is-assistant').waitFor();
  assert.deepEqual(await page.locator('.message .message-text').allInnerTexts(), ['Where is this?', answer], 'the server has the same');
  await behaved(page, conduct);
});

test('a page that is reloaded in the middle of an answer goes on with it', async () => {
  const { page, conduct } = await site.open();
  // From inside the page, at the first word: an answer takes less time than a test runner's reload.
  await page.addInitScript(() => {
    globalThis.WebSocket = class extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        this.addEventListener('message', ({ data }) => {
          if (!String(data).includes('"response.output_text.delta"') || sessionStorage.getItem('reloaded')) return;
          sessionStorage.setItem('reloaded', 'yes');
          setTimeout(() => location.reload(), 60);
        });
      }
    };
  });
  await page.reload();
  const asked = 'List everything that can be seen, one thing after the other, with as many words as you can.';
  await page.getByRole('textbox', { name: /Ask about/ }).fill(asked);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => sessionStorage.getItem('reloaded') === 'yes' && document.querySelectorAll('.message').length === 2);
  const answer = await answered(page);
  assert.ok(answer.length > 5, `the answer is "${answer}"`);
  assert.equal(await page.locator('.message.is-user .message-text').innerText(), asked);
  assert.notEqual(await page.locator('.message-note').innerText(), 'Stopped');
  await behaved(page, conduct);
});

test('by keyboard alone: a question is asked, answered and asked again, a frame is found, the colours change', async () => {
  const { page, conduct } = await site.open();
  await painted(page, '.stage-canvas');
  await page.keyboard.press('/');
  await page.keyboard.type('What is happening?');
  await page.keyboard.press('Enter');
  const first = await answered(page);
  await tabTo(page, 'Answer again', true);
  await page.keyboard.press('Enter');
  assert.equal(await answered(page), first, 'the same question has the same answer');

  await tabTo(page, 'Position', true);
  await page.keyboard.press('End');
  assert.equal(await page.getByRole('slider', { name: 'Position' }).inputValue(), '131');
  await page.keyboard.press('PageUp');
  assert.equal(await page.getByRole('slider', { name: 'Position' }).inputValue(), '121');

  await tabTo(page, 'Change to dark colours', true);
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).colorScheme), 'dark');
  await page.reload();
  await page.getByRole('button', { name: 'Change to light colours' }).waitFor();
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(17, 19, 20)');
  await behaved(page, conduct);
});

test('a dropped container can be asked about and watched at once', async () => {
  const { page, conduct } = await site.open();
  const container = await readFile(path.join(demoDir, 'bunny.linr'));
  await dropFile(page, 'again.linr', 'application/octet-stream', container);
  await page.locator('.player-title', { hasText: 'again.linr' }).waitFor();
  await until(async () => (await page.locator('.library-row').count()) === 2, 'it is listed');
  await painted(page, '.stage-canvas');
  await page.getByRole('button', { name: question }).click();
  assert.match(await answered(page), /\w/);
  await behaved(page, conduct);
});

/** Goes with Tab to what has this name; with `back`, to the last such before where it is now. */
async function tabTo(page: Page, name: string, back = false): Promise<void> {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press(back ? 'Shift+Tab' : 'Tab');
    const found = await page.evaluate(() => {
      const element = document.activeElement;
      return element?.getAttribute('aria-label') ?? element?.textContent ?? '';
    });
    if (found === name) return;
  }
  assert.fail(`${name} is not reached by Tab`);
}
