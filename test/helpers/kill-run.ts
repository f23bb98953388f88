/**
 * kill -9 again and again while uploads, encodes and answers are under way, and a ledger of everything the server has acknowledged:
 * after every start it must still be there, and in the end every job must be done and no file left over.
 */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Video } from '../../server/api/schemas.js';
import { untilVideo } from './api.js';
import { TestFolder } from './folder.js';
import { randomNumbers, type RandomNumbers } from './random.js';
import { TestSocket } from './realtime.js';
import { isRunning, ServerProcess } from './server-process.js';
import { createUpload, sendBytes, uploadOffset } from './tus.js';
import { makeVideo, movingPicture } from './videos.js';

export interface KillOptions {
  readonly kills: number;
  /** The same seed kills after the same times. */
  readonly seed: number;
  readonly onKill?: (kill: number, report: KillReport) => void;
}

export interface KillReport {
  /** Kills by what was under way: one kill may count for several. */
  readonly during: { start: number; upload: number; encode: number; answer: number };
  uploads: number;
  videos: number;
  messages: number;
  deletions: number;
}

/** Pieces an upload is sent in; each is acknowledged by itself. */
const PIECES = 6;
/** Videos that are kept: further ones take the place of a finished one, which is deleted. */
const MOST_VIDEOS = 5;
const LONGEST_LIFE_S = 5;

interface Ledger {
  /** Bytes acknowledged of every upload that is not complete. */
  readonly uploads: Map<string, number>;
  /** Uploads that were acknowledged to the last byte. */
  readonly videos: Set<string>;
  readonly deleted: Set<string>;
  /** Texts of every conversation, in order, as they were acknowledged. */
  readonly conversations: Map<string, string[]>;
}

/** @throws AssertionError saying what was lost or left over, and after which kill. */
export async function killRun({ kills, seed, onKill }: KillOptions): Promise<KillReport> {
  const random = randomNumbers(seed);
  const clip = await makeVideo({ width: 96, height: 64, times: Array.from({ length: 16 }, (_, index) => index / 8), picture: movingPicture });
  const folder = await TestFolder.make();
  const server = new ServerProcess(folder.path, { encode: { preset: 'draft', seconds: 3 }, logLevel: 'fatal' });
  const ledger: Ledger = { uploads: new Map(), videos: new Set(), deleted: new Set(), conversations: new Map() };
  const report: KillReport = { during: { start: 0, upload: 0, encode: 0, answer: 0 }, uploads: 0, videos: 0, messages: 0, deletions: 0 };
  const children = new Set<number>();
  try {
    for (let kill = 1; kill <= kills; kill++) {
      await server.start();
      await check(server.url, ledger, `after ${kill - 1} kills`);
      // Half of the lives are short: what a start finishes is cut off as well.
      const life_s = LONGEST_LIFE_S * random.uniform() ** 2;
      const life = new Life(server.url, ledger, report, random, clip);
      await new Promise((resolve) => setTimeout(resolve, life_s * 1000));
      const encoders = server.children();
      for (const pid of encoders) children.add(pid);
      if (life.uploading) report.during.upload++;
      if (life.answering) report.during.answer++;
      if (encoders.length > 0) report.during.encode++;
      if (life_s < 0.3) report.during.start++;
      await server.kill();
      await life.end();
      onKill?.(kill, report);
    }
    await server.start();
    await check(server.url, ledger, 'at the end');
    await finish(server.url, ledger, clip);
    await noLitter(folder.path, server.url, ledger, clip);
    const own = new Set(server.children());
    for (const pid of children) assert.ok(own.has(pid) || !isRunning(pid), `the process ${pid} of a killed server still runs`);
    return report;
  } finally {
    await server.stop();
    await folder.remove();
  }
}

/** What is done to a server until it is killed. */
class Life {
  uploading = false;
  answering = false;
  #over = false;
  readonly #done: Promise<unknown>;

  constructor(
    private readonly url: string,
    private readonly ledger: Ledger,
    private readonly report: KillReport,
    private readonly random: RandomNumbers,
    private readonly clip: Uint8Array,
  ) {
    // Each ends with the connection; what else goes wrong is a fault.
    this.#done = Promise.all([this.#upload(), this.#chat()].map((work) => work.catch((error: unknown) => {
      if (!this.#over) this.#error ??= error;
    })));
  }

  #error: unknown = null;

  async end(): Promise<void> {
    this.#over = true;
    await this.#done;
    if (this.#error !== null && !isBroken(this.#error)) throw this.#error;
  }

  async #upload(): Promise<void> {
    const { url, ledger, clip } = this;
    for (;;) {
      this.uploading = true;
      let [id] = [...ledger.uploads.keys()];
      if (id === undefined) {
        await this.#makeRoom();
        const created = await createUpload(url, { length: clip.length });
        assert.equal(created.status, 201, await created.clone().text());
        id = created.headers.get('location')?.split('/').pop() ?? '';
        ledger.uploads.set(id, 0);
        this.report.uploads++;
      }
      await this.#sendRest(id);
      this.uploading = false;
      await new Promise((resolve) => setTimeout(resolve, 600 * this.random.uniform()));
      if (this.#over) return;
    }
  }

  async #sendRest(id: string): Promise<void> {
    const { url, ledger, clip } = this;
    for (let offset = ledger.uploads.get(id) ?? 0; offset < clip.length; ) {
      const there = await uploadOffset(url, id);
      assert.ok(typeof there === 'number', `the upload ${id} answers ${there}`);
      offset = there;
      const piece = clip.subarray(offset, offset + Math.ceil(clip.length / PIECES));
      // A last answer may have been lost: then everything is there already.
      const answer = piece.length > 0 ? await sendBytes(url, id, offset, piece) : null;
      if (answer) assert.equal(answer.status, 204, await answer.clone().text());
      offset += piece.length;
      ledger.uploads.set(id, offset);
    }
    ledger.uploads.delete(id);
    ledger.videos.add(id);
    this.report.videos++;
  }

  async #makeRoom(): Promise<void> {
    const { url, ledger } = this;
    if (ledger.videos.size < MOST_VIDEOS) return;
    const [oldest] = ledger.videos;
    if (oldest === undefined) return;
    // From here on it may be there or not, until the deletion is acknowledged.
    ledger.videos.delete(oldest);
    const answer = await fetch(`${url}/v1/videos/${oldest}`, { method: 'DELETE' });
    assert.ok(answer.status === 204 || answer.status === 404, `deletion answers ${answer.status}`);
    ledger.deleted.add(oldest);
    this.report.deletions++;
  }

  async #chat(): Promise<void> {
    const known = [...this.ledger.conversations.keys()].at(-1);
    const socket = await TestSocket.open(this.url, known === undefined || this.random.uniform() < 0.2 ? '' : `?conversation=${known}`);
    const over = socket.closed.then(() => null);
    const { conversation } = (await Promise.race([socket.next('session.created'), over])) ?? { conversation: null };
    if (!conversation) return;
    const texts = this.ledger.conversations.get(conversation.id) ?? [];
    for (let turn = texts.length; ; turn++) {
      const question = `Question ${turn}: what is ${turn} plus ${turn}?`;
      socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_text', text: question }] } });
      if (!(await Promise.race([socket.next('conversation.item.added'), over]))) return;
      this.ledger.conversations.set(conversation.id, texts);
      texts.push(question);
      this.report.messages++;
      socket.send({ type: 'response.create', response: { max_output_tokens: 24 } });
      this.answering = true;
      const written = await Promise.race([socket.next('response.output_text.done', 60).catch(() => null), over]);
      const done = written && (await Promise.race([socket.next('response.done', 60).catch(() => null), over]));
      if (!done) return;
      this.answering = false;
      assert.ok(['completed', 'incomplete'].includes(done.response.status), JSON.stringify(done.response));
      texts.push(written.text);
      this.report.messages++;
      if (this.#over) return;
    }
  }
}

/** A connection that ended with its server. */
function isBroken(error: unknown): boolean {
  const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
  const code = cause?.code ?? (error as NodeJS.ErrnoException).code ?? '';
  return error instanceof TypeError || ['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'UND_ERR_SOCKET'].includes(code);
}

/** Everything that was acknowledged is there. */
async function check(url: string, ledger: Ledger, when: string): Promise<void> {
  for (const [id, acknowledged] of ledger.uploads) {
    const there = await uploadOffset(url, id);
    assert.ok(typeof there === 'number' && there >= acknowledged, `${when}, of the upload ${id} ${there} bytes are there, but ${acknowledged} were acknowledged`);
  }
  const { data } = (await (await fetch(`${url}/v1/videos`)).json()) as { data: Video[] };
  const videos = new Map(data.map((video) => [video.id, video]));
  for (const id of ledger.videos) {
    assert.ok(videos.has(id), `${when}, the video ${id} is gone`);
    assert.notEqual(videos.get(id)?.state, 'failed', `${when}, the video ${id} has failed: ${JSON.stringify(videos.get(id)?.error)}`);
  }
  for (const id of ledger.deleted) assert.ok(!videos.has(id), `${when}, the deleted video ${id} is back`);
  for (const [id, texts] of ledger.conversations) {
    const socket = await TestSocket.open(url, `?conversation=${id}`);
    const { conversation } = await socket.next('session.created');
    await socket.close();
    const stored = conversation.items.map(({ content }) => content.map((part) => ('text' in part ? part.text : '')).join(''));
    let at = 0;
    // What was stored but not acknowledged in time may stand in between.
    for (const text of texts) {
      at = stored.indexOf(text, at) + 1;
      assert.ok(at > 0, `${when}, the conversation ${id} has lost "${text}"; it has ${JSON.stringify(stored)}`);
    }
  }
}

/** Brings every upload and every encode to its end. */
async function finish(url: string, ledger: Ledger, clip: Uint8Array): Promise<void> {
  for (const id of ledger.uploads.keys()) {
    const offset = await uploadOffset(url, id);
    assert.ok(typeof offset === 'number');
    if (offset < clip.length) assert.equal((await sendBytes(url, id, offset, clip.subarray(offset))).status, 204);
    ledger.videos.add(id);
  }
  ledger.uploads.clear();
  for (const id of ledger.videos) {
    const video = await untilVideo(url, id, ({ state }) => state === 'ready' || state === 'failed', 300);
    assert.equal(video.state, 'ready', JSON.stringify(video.error));
  }
}

/** Every file belongs to something, and the originals are what was sent. */
async function noLitter(dataDir: string, url: string, ledger: Ledger, clip: Uint8Array): Promise<void> {
  const { data } = (await (await fetch(`${url}/v1/videos`)).json()) as { data: Video[] };
  assert.deepEqual((await readdir(path.join(dataDir, 'videos'))).sort(), data.map(({ id }) => id).sort(), 'folders without a video');
  // An upload whose creation was not answered in time is unknown to its client, but not to the server: it expires with the others.
  for (const name of await readdir(path.join(dataDir, 'uploads'))) {
    const offset = await uploadOffset(url, name);
    assert.equal(offset, 0, `the file uploads/${name} belongs to no upload, or to one that was acknowledged: ${offset}`);
  }
  for (const id of ledger.videos) {
    const names = (await readdir(path.join(dataDir, 'videos', id))).sort();
    assert.deepEqual(names, ['source.mp4', 'video.linr']);
    assert.deepEqual(new Uint8Array(await readFile(path.join(dataDir, 'videos', id, 'source.mp4'))), clip, `the original of ${id} differs`);
  }
}
