import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { answered, behaved, painted, screenshot, Site } from './page-harness.js';
import { until } from '../helpers/eventually.js';

const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
const question = 'What is happening?';

let site: Site;

before(async () => {
  site = await Site.start();
});
after(() => site.stop());

test('opens with the demo video: its thumbnail and its first frame are decoded by the browser', async () => {
  const { page, conduct } = await site.open();
  await painted(page, '.thumbnail canvas');
  await painted(page, '.stage-canvas');
  assert.match(await page.locator('.player-title').innerText(), /\S/);
  assert.match(await page.locator('.facts').innerText(), /As latents/);
  await painted(page, '.timeline-strip');
  await screenshot(page, 'demo-light-1600');
  await behaved(page, conduct);
});

test('the first load is small: under 300 kB before the decoder is asked for', async () => {
  const { page, conduct } = await site.open();
  await page.locator('.library-item').first().waitFor();
  const decoder = /decoder-worker|ort-wasm|\/container$/;
  const bytes = [...conduct.bytes].filter(([path]) => !decoder.test(path)).reduce((sum, [, size]) => sum + size, 0);
  assert.ok(bytes > 20_000 && bytes < 300_000, `${bytes} bytes`);
  await behaved(page, conduct);
});

test('playing moves through the frames, the slider shows any of them, the width changes the size decoded at', async () => {
  const { page, conduct } = await site.open();
  await painted(page, '.stage-canvas');
  const slider = page.getByRole('slider', { name: 'Position' });
  const first = await slider.getAttribute('aria-valuetext');
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await page.waitForFunction((was) => document.querySelector('.timeline-slider')?.getAttribute('aria-valuetext') !== was, first);
  await page.getByRole('button', { name: /^(Pause|Play again)$/ }).waitFor();

  await slider.focus();
  await page.keyboard.press('End');
  const last = Number(await slider.getAttribute('max'));
  assert.ok(last > 0);
  assert.equal(await slider.inputValue(), String(last));
  await page.keyboard.press('ArrowLeft');
  assert.match((await slider.getAttribute('aria-valuetext')) ?? '', new RegExp(`frame ${last} of ${last + 1}$`));

  const before = await page.locator('.stage-canvas').evaluate((canvas) => (canvas as HTMLCanvasElement).width);
  const size = page.getByRole('slider', { name: 'Size' });
  for (const [key, width] of [['Home', 160], ['End', 1280]] as const) {
    await size.press(key);
    await page.waitForFunction((wanted) => document.querySelector<HTMLCanvasElement>('.stage-canvas')?.width === wanted, width);
    assert.match((await size.getAttribute('aria-valuetext')) ?? '', new RegExp(`^${width}.×`));
    assert.notEqual(before, width);
  }
  assert.match(await page.locator('.player-decoded').innerText(), /from [\d.]+ kB in \d+ ms/);
  await behaved(page, conduct);
});

test('a question is answered in a stream, without layout shift, and the conversation is there after a reload', async () => {
  const { page, conduct } = await site.open();
  await watchLayout(page);
  await page.evaluate(() => {
    const lengths = new Set<number>();
    new MutationObserver(() => {
      const answers = document.querySelectorAll('.message.is-assistant .message-text');
      lengths.add(answers.item(answers.length - 1)?.textContent.length ?? 0);
      document.body.dataset.lengths = String(lengths.size);
    }).observe(document.querySelector('.chat-log') ?? document.body, { childList: true, subtree: true, characterData: true });
  });
  await page.getByRole('button', { name: question }).click();
  const answer = await answered(page);
  assert.ok(answer.length > 10, `the answer is "${answer}"`);
  const grew = Number(await page.evaluate(() => document.body.dataset.lengths));
  assert.ok(grew >= 3, `the text was seen at ${grew} lengths`);
  assert.match(await page.locator('.message-note').last().innerText(), /first word after \d/);
  assert.ok((await layoutShift(page)) < 0.02, `layout shift ${await layoutShift(page)}`);
  assert.match(await page.locator('.chat [aria-live=polite]').innerText(), /\w/, 'the answer is told to screen readers');
  await screenshot(page, 'answer-light-1600');

  await page.reload();
  await page.locator('.message.is-assistant').waitFor();
  assert.equal(await page.locator('.message.is-user .message-text').innerText(), question);
  assert.equal(await page.locator('.message.is-assistant .message-text').innerText(), answer);

  await page.getByRole('button', { name: 'Answer again' }).click();
  await answered(page);
  assert.equal(await page.locator('.message.is-user').count(), 1, 'the old answer was replaced, not added to');

  await page.getByRole('button', { name: 'New conversation' }).click();
  await page.getByRole('button', { name: question }).waitFor();
  assert.equal(await page.locator('.message').count(), 0);
  await behaved(page, conduct);
});

test('the stop button cancels the answer on the server, and another question can follow', async () => {
  const { page, conduct } = await site.open();
  const sent: string[] = [];
  const received: string[] = [];
  page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => sent.push(String(payload)));
    socket.on('framereceived', ({ payload }) => received.push(String(payload)));
  });
  // Clicked in the page itself, once, as soon as the server has begun: an answer takes less time than a test runner's click.
  await page.addInitScript(() => {
    const stop = (message: MessageEvent): void => {
      if (document.body.dataset.stopped || !String(message.data).includes('"response.created"')) return;
      document.body.dataset.stopped = 'yes';
      setTimeout(() => document.querySelector<HTMLButtonElement>('.composer-button.is-stop')?.click());
    };
    globalThis.WebSocket = class extends WebSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        this.addEventListener('message', stop);
      }
    };
  });
  await page.reload();
  const box = page.getByRole('textbox', { name: /Ask about/ });
  await box.fill('Tell a long story about everything in it.');
  await page.keyboard.press('Enter');
  await page.getByText('Stopped').waitFor();
  await until(() => received.some((frame) => frame.includes('"response.done"')), 'the server has ended the response');
  assert.ok(sent.some((frame) => frame.includes('"response.cancel"')));
  assert.match(received.find((frame) => frame.includes('"response.done"')) ?? '', /"status":"cancelled"/);

  await box.fill(question);
  await page.keyboard.press('Enter');
  assert.match(await answered(page), /\w/);
  await behaved(page, conduct);
});

test('a second tab follows the conversation, and neither disturbs the other', async () => {
  const { page, conduct } = await site.open();
  await page.locator('.chip').first().click();
  await answered(page);
  const second = await page.context().newPage();
  await second.goto(site.server.url);
  await second.locator('.message.is-assistant').waitFor();
  await page.getByRole('textbox', { name: /Ask about/ }).fill('What colours are there?');
  await page.keyboard.press('Enter');
  await second.locator('.message.is-user', { hasText: 'What colours are there?' }).waitFor();
  const answer = await answered(page);
  await until(async () => (await second.locator('.message.is-assistant .message-text').last().innerText()) === answer, 'the second tab shows the same answer');
  await behaved(page, conduct);
});

test('everything is reached by keyboard', async () => {
  const { page, conduct } = await site.open();
  await painted(page, '.stage-canvas');
  const reached: string[] = [];
  for (let presses = 0; presses < 25; presses += 1) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => document.activeElement?.className ?? ''));
  }
  for (const part of ['theme', 'library-add', 'library-item', 'library-remove', 'timeline-slider', 'player-toggle', 'range', 'map-summary', 'chip', 'composer-input']) {
    assert.ok(reached.some((name) => name.includes(part)), `Tab reaches ${part}: ${reached.join(' | ')}`);
  }
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  await page.keyboard.press('/');
  assert.ok(await page.locator('.composer-input').evaluate((input) => input === document.activeElement));
  await behaved(page, conduct);
});

test('fits a phone: nothing scrolls sideways, a suggestion is answered with the end of it in sight', async () => {
  const { page, conduct } = await site.open(phone);
  await painted(page, '.stage-canvas');
  await screenshot(page, 'demo-light-360');
  assert.ok(await fits(page));
  await page.getByRole('button', { name: question }).tap();
  await answered(page);
  assert.ok(await fits(page));
  const note = await page.locator('.message-foot').last().boundingBox();
  const composer = await page.locator('.chat-foot').boundingBox();
  assert.ok(note && composer && note.y + note.height <= composer.y + 1, 'the end of the answer is above the composer');
  await screenshot(page, 'answer-light-360');
  await behaved(page, conduct);
});

test('follows the dark scheme, at every width', async () => {
  for (const width of [360, 820, 1600]) {
    const { page, conduct } = await site.open({ viewport: { width, height: 900 }, colorScheme: 'dark' });
    await painted(page, '.stage-canvas');
    const [ground, ink] = await page.evaluate(() => {
      const style = getComputedStyle(document.body);
      return [style.backgroundColor, style.color].map((colour) => Math.max(...(colour.match(/\d+/g) ?? []).map(Number)));
    });
    assert.ok((ground ?? 255) < 60 && (ink ?? 0) > 200, `ground ${ground}, ink ${ink}`);
    assert.ok(await fits(page));
    await painted(page, '.timeline-strip');
    await screenshot(page, `demo-dark-${width}`, width === 360);
    await behaved(page, conduct);
  }
});

/** A phone shrinks a page that is too wide, and its window grows with it: only the size asked for tells. */
function fits(page: Page): Promise<boolean> {
  return page.evaluate((width) => document.documentElement.scrollWidth <= width, page.viewportSize()?.width ?? 0);
}

async function watchLayout(page: Page): Promise<void> {
  await painted(page, '.timeline-strip');
  await page.evaluate(() => {
    document.body.dataset.shift = '0';
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { value, hadRecentInput } = entry as PerformanceEntry & { value: number; hadRecentInput: boolean };
        if (!hadRecentInput) document.body.dataset.shift = String(Number(document.body.dataset.shift) + value);
      }
    }).observe({ type: 'layout-shift' });
  });
}

async function layoutShift(page: Page): Promise<number> {
  return Number(await page.evaluate(() => document.body.dataset.shift));
}
