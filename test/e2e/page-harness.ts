/** Starts a real server and a real browser, and keeps what the tests are to hold the page to. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';
import chromiumPackage from '@sparticuz/chromium';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { DemoServer } from '../helpers/demo-server.js';
import type { ServerProcess } from '../helpers/server-process.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
/** A server with the demo video in a folder of its own, and a browser. */
export class Site {
  private constructor(
    private readonly demo: DemoServer,
    private readonly browser: Chromium,
  ) {}

  static async start(): Promise<Site> {
    // Uploads are trained for long enough for pictures, not for good ones.
    const demo = DemoServer.start({ logLevel: 'error', threads: 1, encode: { preset: 'draft', seconds: 6 } });
    return new Site(...(await Promise.all([demo, Chromium.start()])));
  }

  get server(): ServerProcess {
    return this.demo.process;
  }

  /** The page in a profile of its own. */
  open(options: BrowserContextOptions = {}): Promise<{ page: Page; conduct: Conduct }> {
    return this.browser.open(this.server.url, options);
  }

  async stop(): Promise<void> {
    await this.browser.close();
    await this.demo.stop();
  }
}

/** What a page did that no page may do; tests look at it at their ends. */
export interface Conduct {
  /** Errors and warnings of the console, uncaught errors. */
  readonly complaints: string[];
  /** Addresses of everything that was asked for. */
  readonly requests: string[];
  /** Bytes of the bodies of everything that was answered, by path. */
  readonly bytes: Map<string, number>;
}

export class Chromium {
  readonly #browser: Browser;

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  static async start(): Promise<Chromium> {
    const executablePath = await chromiumPackage.executablePath();
    // The package brings a font: a bare machine has none, and pictures of the page should look alike everywhere.
    const env = { ...process.env, FONTCONFIG_PATH: path.join(tmpdir(), 'fonts') };
    const options = { executablePath, args: ['--no-sandbox', '--disable-gpu', '--font-render-hinting=none'] };
    try {
      return new Chromium(await chromium.launch({ ...options, env }));
    } catch (error) {
      if (!String(error).includes('shared libraries')) throw error;
      return new Chromium(await chromium.launch({ ...options, env: { ...env, LD_LIBRARY_PATH: await bundledLibraries() } }));
    }
  }

  /** A page in a profile of its own. */
  async open(url: string, options: BrowserContextOptions = {}): Promise<{ page: Page; conduct: Conduct }> {
    const context = await this.#browser.newContext({ viewport: { width: 1600, height: 900 }, colorScheme: 'light', ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    const conduct: Conduct = { complaints: [], requests: [], bytes: new Map() };
    page.on('console', (message) => {
      // Where the model pack cannot compare words with frames the server says so, the browser tells of the status, and the page does without.
      if (message.location().url.endsWith('/v1/search')) return;
      if (message.type() === 'error' || message.type() === 'warning') conduct.complaints.push(message.text());
    });
    page.on('pageerror', (error) => conduct.complaints.push(error.message));
    page.on('request', (request) => conduct.requests.push(request.url()));
    page.on('response', (response) => {
      void response.body().then(
        (body) => conduct.bytes.set(new URL(response.url()).pathname, body.length),
        () => undefined, // Redirects and cancelled requests have none.
      );
    });
    await page.goto(url);
    return { page, conduct };
  }

  close(): Promise<void> {
    return this.#browser.close();
  }
}

/** The system libraries Chromium links to, which its package brings for machines without them; the folder they lie in. */
async function bundledLibraries(): Promise<string> {
  const archive = path.join(root, 'node_modules/@sparticuz/chromium/bin/al2023.tar.br');
  const folder = await mkdtemp(path.join(tmpdir(), 'chromium-libraries-'));
  execFileSync('tar', ['-x', '-C', folder], { input: brotliDecompressSync(await readFile(archive)) });
  return path.join(folder, 'lib');
}

/** Keeps a picture of the page in the folder that LATENTCHAT_SCREENSHOTS names; does nothing where it names none. */
export async function screenshot(page: Page, name: string, fullPage = false): Promise<void> {
  const folder = process.env.LATENTCHAT_SCREENSHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage });
}

/** How many different colours a canvas shows: 1 for one that nothing was drawn on. */
export function coloursOf(page: Page, selector: string): Promise<number> {
  return page.locator(selector).first().evaluate((canvas) => {
    if (!(canvas instanceof HTMLCanvasElement) || canvas.width === 0) return 0;
    // Read from a copy: reading a canvas again and again makes the browser give up its fast path, and say so.
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
    copy?.drawImage(canvas, 0, 0);
    const pixels = copy?.getImageData(0, 0, canvas.width, canvas.height).data;
    return new Set(pixels ? new Uint32Array(pixels.buffer) : []).size;
  });
}

/** Waits until a canvas shows a picture. */
export async function painted(page: Page, selector: string, timeout_ms = 60_000): Promise<void> {
  const end = Date.now() + timeout_ms;
  while ((await coloursOf(page, selector)) < 50) {
    if (Date.now() > end) throw new Error(`${selector} is still blank after ${timeout_ms / 1000} s`);
    await page.waitForTimeout(100);
  }
}

/** Waits for the end of the running answer and gives its text. */
export async function answered(page: Page): Promise<string> {
  await page.locator('.message.is-assistant').last().getByRole('button', { name: 'Answer again' }).waitFor({ timeout: 120_000 });
  return page.locator('.message.is-assistant .message-text').last().innerText();
}

/** No complaint in the console, nothing fetched from elsewhere, and no picture asked of the server. */
export async function behaved(page: Page, conduct: Conduct): Promise<void> {
  assert.deepEqual(conduct.complaints, []);
  for (const address of conduct.requests) {
    const { origin, pathname, protocol } = new URL(address);
    if (protocol === 'blob:' || protocol === 'data:') continue;
    assert.equal(origin, new URL(page.url()).origin, `a request left for ${address}`);
    assert.doesNotMatch(pathname, /\/frames\//, 'frames come from the browser’s own decoder');
  }
  await page.context().close();
}

/** Drops a file on the page, as a hand would. */
export async function dropFile(page: Page, name: string, type: string, bytes: Uint8Array): Promise<void> {
  const transfer = await page.evaluateHandle(
    ([fileName, fileType, base64]) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], fileName, { type: fileType }));
      return data;
    },
    [name, type, Buffer.from(bytes).toString('base64')] as const,
  );
  for (const event of ['dragenter', 'dragover', 'drop']) await page.dispatchEvent('body', event, { dataTransfer: transfer });
}
