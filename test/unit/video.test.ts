// A `.linr` file as a program holds it: opening, reading in parts, drawing, and refusals that name the file.
import assert from 'node:assert/strict';
import { readdir, readFile, readlink, rename, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import * as library from '../../index.js';
import { CodedError, ContainerError, decode, openLinr, OutputError } from '../../index.js';
import { writeContainer } from '../../model/container/index.js';
import { decodableContainer } from '../helpers/containers.js';
import { TestFolder } from '../helpers/folder.js';
import { RangeServer } from '../helpers/range-server.js';

const threads = 1;

describe('a .linr file', () => {
  let folder: TestFolder;
  let bytes: Uint8Array;
  const at = (name: string): string => path.join(folder.path, name);
  before(async () => {
    folder = await TestFolder.make();
    bytes = writeContainer(decodableContainer({ segments: [3, 4] }));
    await folder.write('clip.linr', bytes);
  });
  after(() => folder.remove());

  test('opened from a path, a file URL, an address or its bytes is the same video', async () => {
    const server = await RangeServer.start(bytes);
    const sources = [at('clip.linr'), pathToFileURL(at('clip.linr')), new URL('/clip.linr', server.url), bytes, bytes.slice().buffer];
    const videos = await Promise.all(sources.map((source) => openLinr(source, { threads })));
    const frames = await Promise.all(videos.map((video) => video.frame(5, 40)));
    for (const [i, video] of videos.entries()) {
      assert.deepEqual([video.frames, video.times_s.length, video.latents.length / video.dim], [7, 7, 7]);
      assert.deepEqual(frames[i], frames[0]);
      await video.close();
    }
    assert.deepEqual([frames[0]?.width, frames[0]?.data.length], [40, 3 * 40 * (frames[0]?.height ?? 0)]);
    assert.deepEqual(videos.map(({ id }) => id).slice(0, 2), [at('clip.linr'), pathToFileURL(at('clip.linr')).href]);
    assert.equal(new Set(videos.map(({ version }) => version)).size, videos.length, 'nothing cached for one is used for another');
    await server.stop();
  });

  test('on a disk is not held open, and is refused once another file is in its place', async () => {
    const place = await folder.write('replaced.linr', bytes);
    const video = await openLinr(place, { threads });
    await video.frame(0);
    const held = await Promise.all((await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
    assert.ok(!held.includes(place));
    await writeFile(`${place}.new`, bytes);
    await rename(`${place}.new`, place);
    await assert.rejects(video.frame(6), { name: 'ContainerError', code: 'source_changed', message: /replaced\.linr: / });
    await video.close();
  });

  test('gives its frames one after another', async () => {
    const video = await openLinr(at('clip.linr'), { threads });
    const times: number[] = [];
    for await (const { time_s } of video.decodeFrames()) times.push(time_s);
    assert.deepEqual(times, [...video.times_s]);
    const some: number[] = [];
    for await (const { time_s } of video.decodeFrames([6, 0])) some.push(time_s);
    assert.deepEqual(some, [video.times_s[6], video.times_s[0]]);
    await video.close();
    await assert.rejects(video.frame(0), { code: 'decoder_released' });
  });

  test('that is damaged or missing is refused by name and code', async () => {
    const short = await folder.write('short.linr', bytes);
    await truncate(short, 100);
    await assert.rejects(openLinr(short), (error) => error instanceof ContainerError && error.code === 'truncated' && error.message.startsWith(`${short}: `));
    await assert.rejects(openLinr(new Uint8Array(50), { name: 'mine' }), { code: 'not_a_container', message: /^mine: / });
    await assert.rejects(openLinr(at('nothing.linr')), { code: 'ENOENT', path: at('nothing.linr') });
    const reason = new Error('enough');
    await assert.rejects(openLinr(at('clip.linr'), { signal: AbortSignal.abort(reason) }), (error) => error === reason);
  });

  test('is decoded to PNG files, to a video and to a stream', async () => {
    const done: string[] = [];
    const report = await decode(at('clip.linr'), { output: at('frames'), frames: [0, [5, 6]], threads, onProgress: (count, total) => done.push(`${count}/${total}`) });
    assert.deepEqual(await readdir(at('frames')), ['frame-00000.png', 'frame-00005.png', 'frame-00006.png']);
    assert.deepEqual([report.count, done], [3, ['1/3', '2/3', '3/3']]);
    await decode(bytes, { output: at('clip.mp4'), threads });
    assert.ok((await readFile(at('clip.mp4'))).includes('avc1'));
    let written = 0;
    const stream = new Writable({ write: (chunk: Uint8Array, _, next) => { written += chunk.length; next(); } });
    const { width, height } = await decode(bytes, { output: stream, frames: [2, 3], threads });
    assert.equal(written, 2 * width * height * 3);
    assert.ok(stream.writable, 'the stream stays its owner\'s');
  });

  test('leaves nothing of a decoding that cannot be', async () => {
    await assert.rejects(decode(bytes, { output: at('none'), frames: [[5, 7]], threads }), { code: 'frame_not_found', message: /frames 0 to 6/ });
    const growing = writeContainer(decodableContainer({ segments: [3, 4], network: [true, false] }));
    await assert.rejects(decode(growing, { output: at('none.mp4'), threads }), { code: 'pictures_not_ready', message: /frames 3 to 6/ });
    await assert.rejects(decode(bytes, { output: at('no/where.mp4'), threads }), (error) => error instanceof OutputError && error.code === 'folder_missing');
    await assert.rejects(decode(bytes, { output: at('clip.avi'), threads }), (error) => error instanceof OutputError && error.code === 'format_unknown');
    const controller = new AbortController();
    await assert.rejects(decode(bytes, { output: at('stopped.mp4'), threads, signal: controller.signal, onProgress: () => controller.abort() }), { name: 'AbortError' });
    const left = await readdir(folder.path);
    assert.deepEqual(left.filter((name) => /none|stopped|avi/.test(name)), []);
  });
});

test('every error of the library is of one family', () => {
  const errors = Object.entries(library).filter(([name]) => name.endsWith('Error'));
  assert.ok(errors.length >= 10);
  for (const [name, type] of errors) {
    if (type !== CodedError) assert.ok((type as { readonly prototype: unknown }).prototype instanceof CodedError, name);
  }
});
