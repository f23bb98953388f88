import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { readContainer, writeContainer } from '../../model/container/index.js';
import type { Video } from '../../server/api/schemas.js';
import { demoDir } from '../helpers/demo-server.js';
import { TestFolder } from '../helpers/folder.js';
import { ServerProcess } from '../helpers/server-process.js';
import { upload } from '../helpers/tus.js';
import { answered, behaved, Chromium, painted, screenshot } from './page-harness.js';

/** Pixels across. A phone is touched, and shrinks a page that is too wide. */
const phones = [320, 390];
const desktops = [768, 1024, 1600];
/** Names that have nowhere to break, or much to show. */
const longNames = [
  `${'unbroken'.repeat(20)}.mp4`,
  'A long name of many words that somebody gave to the second recording of the school concert in the old town hall.mp4',
  `${'録画された長い名前の動画'.repeat(6)}.mp4`,
];
/** A name that is refused, so that one entry of the library shows a failure. */
const failedName = `${'refused-'.repeat(18)}file.mp4`;

let folder: TestFolder;
let server: ServerProcess;
let browser: Chromium;

before(async () => {
  folder = await TestFolder.make();
  const demo = readContainer(await readFile(path.join(demoDir, 'bunny.linr')));
  for (let i = 0; i < 49; i++) {
    const name = longNames[i % 4] ?? `clip ${i}.mp4`;
    await folder.write(`${String(i).padStart(2, '0')}.linr`, writeContainer({ ...demo, meta: { ...demo.meta, source: { ...demo.meta.source, name } } }));
  }
  server = new ServerProcess(path.join(folder.path, 'data'), { demoDir: folder.path, logLevel: 'error', threads: 1 });
  [browser] = await Promise.all([Chromium.start(), server.start()]);
});
after(async () => {
  await browser.close();
  await server.stop();
  await folder.remove();
});

function sizeOf(width: number): { width: number; height: number } {
  return { width, height: phones.includes(width) ? 844 : 900 };
}

function openAt(width: number): ReturnType<Chromium['open']> {
  const phone = phones.includes(width);
  return browser.open(server.url, { viewport: sizeOf(width), isMobile: phone, hasTouch: phone });
}

/** Leaves as many videos in the library; those with long names stay longest. */
async function keepVideos(count: number): Promise<void> {
  const { data } = (await (await fetch(`${server.url}/v1/videos`)).json()) as { data: Video[] };
  const first = (name: string): number => (longNames.includes(name) ? 0 : 1);
  const sorted = [...data].sort((a, b) => first(a.name) - first(b.name));
  await Promise.all(sorted.slice(count).map(({ id }) => fetch(`${server.url}/v1/videos/${id}`, { method: 'DELETE' })));
}

/** What reaches past the window's sides: the page as a whole, and controls outside the strip of videos, which scrolls by itself. */
function tooWide(page: Page): Promise<string[]> {
  return page.evaluate((width) => {
    const found = document.documentElement.scrollWidth > width ? [`the page: ${document.documentElement.scrollWidth} pixels`] : [];
    for (const control of document.querySelectorAll('button, input:not(.visually-hidden), textarea, select, summary')) {
      const { left, right, height } = control.getBoundingClientRect();
      if (height > 0 && !control.closest('.library-list') && (left < 0 || right > width)) found.push(`${control.className}: ${left} to ${right}`);
    }
    return found;
  }, page.viewportSize()?.width ?? 0);
}

/** Buttons that a thumb would miss. */
function tooSmall(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll('button, .segment, .range')].flatMap((control) => {
      const { width, height } = control.getBoundingClientRect();
      return height > 0 && (width < 44 || height < 44) ? [`${control.className}: ${width} x ${height}`] : [];
    }),
  );
}

// From many to few: videos are only ever taken away.
for (const count of [50, 3, 1, 0]) {
  test(`nothing scrolls sideways at ${[...phones, ...desktops].join(', ')} pixels with a library of ${count}`, async () => {
    if (count === 50) await upload(server.url, Buffer.from('not a video'), failedName);
    else await keepVideos(count);
    for (const widths of [phones, desktops]) {
      const { page, conduct } = await openAt(widths[0] ?? 0);
      if (count > 0) await painted(page, '.timeline-strip');
      else await page.locator('.welcome').waitFor();
      assert.equal(await page.locator('.library-item').count(), count);
      for (const width of widths) {
        await page.setViewportSize(sizeOf(width));
        await screenshot(page, `library-${count}-${width}`);
        assert.deepEqual(await tooWide(page), [], `at ${width} pixels`);
        if (widths === phones) assert.deepEqual(await tooSmall(page), [], `at ${width} pixels`);
      }
      await behaved(page, conduct);
    }
  });

  if (count === 3) {
    test('a question of one endless word and its answer stay within a phone’s width', async () => {
      const { page, conduct } = await openAt(320);
      await page.getByRole('textbox', { name: /Ask about/ }).fill(`What is ${'endless'.repeat(30)}?`);
      assert.deepEqual(await tooWide(page), []);
      await page.getByRole('button', { name: 'Send', exact: true }).tap();
      await answered(page);
      assert.deepEqual(await tooWide(page), []);
      assert.deepEqual(await tooSmall(page), []);
      await screenshot(page, 'endless-word-320');
      await behaved(page, conduct);
    });
  }
}
