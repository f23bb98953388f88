/**
 * kill -9 again and again while uploads, encodes and answers are under way, and a ledger of everything the server has acknowledged:
 * after every start it must still be there, and in the end every job must be done and no file left over. On a small disk that is
 * filled to its last byte now and then, what is refused for that reason alone is tried again.
 */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Video } from '../../server/api/schemas.js';
import type { ErrorBody } from '../../server/errors.js';
import { untilVideo } from './api.js';
import { TestFolder } from './folder.js';
import { randomNumbers, type RandomNumbers } from './random.js';
import { TestSocket } from './realtime.js';
import { SmallDisk } from './small-disk.js';
import { isRunning, ServerProcess } from './server-process.js';
import { createUpload, sendBytes, uploadOffset } from './tus.js';
import { makeVideo, movingPicture } from './videos.js';

export interface KillOptions {
  readonly kills: number;
  /** The same seed kills after the same times. */
  readonly seed: number;
  /** Bytes of a disk of its own that is filled and emptied at random. Default: the folder for temporary files, which is not. */
  readonly diskBytes?: number;
  readonly onKill?: (kill: number, report: KillReport) => void;
}

export interface KillReport {
  /** Kills by what was under way: one kill may count for several. */
  readonly during: { start: number; upload: number; encode: number; answer: number };
  uploads: number;
  videos: number;
  messages: number;
  deletions: number;
  /** Requests and messages that were refused because the disk was full. */
  refusals: number;
}

/** Pieces an upload is sent in; each is acknowledged by itself. */
const PIECES = 6;
/** Videos that are kept: further ones take the place of a finished one, which is deleted. */
const MOST_VIDEOS = 5;
const LONGEST_LIFE_S = 5;
/** What must stay free of a small disk, in bytes. */
const FREE_BYTES = 6 * 1024 * 1024;
/** Seconds until what was refused for a full disk is tried again. */
const AGAIN_S = 0.1;

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
export async function killRun({ kills, seed, diskBytes, onKill }: KillOptions): Promise<KillReport> {
  const random = randomNumbers(seed);
  const clip = await makeVideo({ width: 96, height: 64, times: Array.from({ length: 16 }, (_, index) => index / 8), picture: movingPicture });
  const disk = diskBytes === undefined ? null : await SmallDisk.make(diskBytes);
  const folder = await TestFolder.make();
  const dataDir = disk?.data ?? folder.path;
  const limits = disk ? { freeBytes: FREE_BYTES, diskRetry_s: 0.2 } : {};
  const server = new ServerProcess(dataDir, { encode: { preset: 'draft', seconds: 3 }, logLevel: 'fatal', limits });
  const ledger: Ledger = { uploads: new Map(), videos: new Set(), deleted: new Set(), conversations: new Map() };
  const report: KillReport = { during: { start: 0, upload: 0, encode: 0, answer: 0 }, uploads: 0, videos: 0, messages: 0, deletions: 0, refusals: 0 };
  const children = new Set<number>();
  try {
    for (let kill = 1; kill <= kills; kill++) {
      await server.start();
      await check(server.url, ledger, `after ${kill - 1} kills`);
      // Half of the lives are short: what a start finishes is cut off as well.
      const life_s = LONGEST_LIFE_S * random.uniform() ** 2;
      const life = new Life({ url: server.url, ledger, report, random, clip, disk });
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
    await disk?.empty();
    await server.start();
    await check(server.url, ledger, 'at the end');
    await finish(server.url, ledger, clip);
    await noLitter(dataDir, server.url, ledger, clip);
    const own = new Set(server.children());
    for (const pid of children) assert.ok(own.has(pid) || !isRunning(pid), `the process ${pid} of a killed server still runs`);
    return report;
  } finally {
    await server.stop();
    await disk?.remove();
    await folder.remove();
  }
}

interface LifeParts {
  readonly url: string;
  readonly ledger: Ledger;
  readonly report: KillReport;
  readonly random: RandomNumbers;
  readonly clip: Uint8Array;
  readonly disk: SmallDisk | null;
}

/** What is done to a server until it is killed. */
class Life {
  uploading = false;
  answering = false;
  #over = false;
  readonly #done: Promise<unknown>;

  constructor(private readonly parts: LifeParts) {
    // Each ends with the connection; what else goes wrong is a fault.
    this.#done = Promise.all([this.#upload(), this.#chat(), this.#crowd()].map((work) => work.catch((error: unknown) => {
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
    const { url, ledger, clip, report, random } = this.parts;
    while (!this.#over) {
      this.uploading = true;
      let [id] = [...ledger.uploads.keys()];
      if (id === undefined) {
        await this.#makeRoom();
        const created = await createUpload(url, { length: clip.length });
        if (await this.#refused(created)) continue;
        assert.equal(created.status, 201, await created.clone().text());
        id = created.headers.get('location')?.split('/').pop() ?? '';
        ledger.uploads.set(id, 0);
        report.uploads++;
      }
      await this.#sendRest(id);
      this.uploading = false;
      await wait(0.6 * random.uniform());
    }
  }

  /** Whether an answer says that the disk is full, as it may on a small one; then waits a moment. */
  async #refused(answer: Response): Promise<boolean> {
    if (this.parts.disk === null || answer.status !== 507) return false;
    const { error } = (await answer.json()) as ErrorBody;
    assert.equal(error.code, 'disk_full');
    this.parts.report.refusals++;
    await wait(AGAIN_S);
    return true;
  }

  /** Fills the disk and empties it again. */
  async #crowd(): Promise<void> {
    const { disk, random } = this.parts;
    while (disk !== null && !this.#over) {
      await wait(1.5 * random.uniform());
      if (this.#over) return;
      await disk.fill();
      await wait(random.uniform());
      // Now and then it stays full over a kill, so that the next server starts on a full disk.
      if (random.uniform() < 0.8) await disk.empty();
    }
  }

  async #sendRest(id: string): Promise<void> {
    const { url, ledger, clip, report, disk } = this.parts;
    for (let offset = ledger.uploads.get(id) ?? 0; offset < clip.length; ) {
      const there = await uploadOffset(url, id);
      if (disk !== null && there === 'status 507') {
        // It is complete, and is not a video yet for want of room.
        await wait(AGAIN_S);
        if (this.#over) return;
        continue;
      }
      assert.ok(typeof there === 'number', `the upload ${id} answers ${there}`);
      offset = there;
      const piece = clip.subarray(offset, offset + Math.ceil(clip.length / PIECES));
      // A last answer may have been lost: then everything is there already.
      const answer = piece.length > 0 ? await sendBytes(url, id, offset, piece) : null;
      if (answer && (await this.#refused(answer))) {
        if (this.#over) return;
        continue;
      }
      if (answer) assert.equal(answer.status, 204, await answer.clone().text());
      offset += piece.length;
      ledger.uploads.set(id, offset);
    }
    ledger.uploads.delete(id);
    ledger.videos.add(id);
    report.videos++;
  }

  async #makeRoom(): Promise<void> {
    const { url, ledger, report } = this.parts;
    if (ledger.videos.size < MOST_VIDEOS) return;
    const [oldest] = ledger.videos;
    if (oldest === undefined) return;
    // From here on it may be there or not, until the deletion is acknowledged.
    ledger.videos.delete(oldest);
    const answer = await fetch(`${url}/v1/videos/${oldest}`, { method: 'DELETE' });
    if (await this.#refused(answer)) {
      ledger.videos.add(oldest);
      return;
    }
    assert.ok(answer.status === 204 || answer.status === 404, `deletion answers ${answer.status}`);
    ledger.deleted.add(oldest);
    report.deletions++;
  }

  async #chat(): Promise<void> {
    const { url, ledger, report, random, disk } = this.parts;
    const known = [...ledger.conversations.keys()].at(-1);
    const socket = await TestSocket.open(url, known === undefined || random.uniform() < 0.2 ? '' : `?conversation=${known}`);
    const over = socket.closed.then(() => null);
    const { conversation } = (await Promise.race([socket.next('session.created'), over])) ?? { conversation: null };
    if (!conversation) return;
    const texts = ledger.conversations.get(conversation.id) ?? [];
    for (let turn = texts.length; !this.#over; turn++) {
      const question = `Question ${turn}: what is ${turn} plus ${turn}?`;
      socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_text', text: question }] } });
      const added = await Promise.race([socket.nextOf(['conversation.item.added', 'error']), over]);
      if (!added) return;
      if (disk !== null && added.type === 'error' && added.error.code === 'disk_full') {
        report.refusals++;
        await wait(AGAIN_S);
        continue;
      }
      assert.equal(added.type, 'conversation.item.added', JSON.stringify(added));
      ledger.conversations.set(conversation.id, texts);
      texts.push(question);
      report.messages++;
      socket.send({ type: 'response.create', response: { max_output_tokens: 24 } });
      this.answering = true;
      const written = await Promise.race([socket.next('response.output_text.done', 60).catch(() => null), over]);
      const done = written && (await Promise.race([socket.next('response.done', 60).catch(() => null), over]));
      if (!done) return;
      this.answering = false;
      const { status, status_details } = done.response;
      if (disk !== null && status === 'failed' && status_details?.error?.code === 'disk_full') {
        // It was written and could not be kept, which its reader is told.
        report.refusals++;
        continue;
      }
      assert.ok(['completed', 'incomplete'].includes(status), JSON.stringify(done.response));
      texts.push(written.text);
      report.messages++;
    }
  }
}

function wait(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
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
    // A complete upload that has no room to become a video says so.
    assert.ok(there === 'status 507' || (typeof there === 'number' && there >= acknowledged), `${when}, of the upload ${id} ${there} bytes are there, but ${acknowledged} were acknowledged`);
  }
  const { data } = (await (await fetch(`${url}/v1/videos`)).json()) as { data: Video[] };
  const videos = new Map(data.map((video) => [video.id, video]));
  for (const id of ledger.videos) {
    assert.ok(videos.has(id), `${when}, the video ${id} is gone`);
    const { state, error } = videos.get(id) ?? {};
    assert.ok(state !== 'failed' || error?.code === 'disk_full', `${when}, the video ${id} has failed: ${JSON.stringify(error)}`);
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
    assert.deepEqual(names, ['source.media', 'video.linr']);
    const original = await readFile(path.join(dataDir, 'videos', id, 'source.media'));
    assert.equal(Buffer.compare(original, clip), 0, `the original of ${id} differs`);
  }
}
