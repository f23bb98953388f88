/** Files that are odd, huge, tiny or broken: each gets a clear outcome with a stable code, and others are served meanwhile. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import type { Video } from '../../server/api/schemas.js';
import { untilVideo } from '../helpers/api.js';
import { fixture } from '../helpers/fixtures.js';
import { TestFolder } from '../helpers/folder.js';
import { TestSocket } from '../helpers/realtime.js';
import { ServerProcess } from '../helpers/server-process.js';
import { upload } from '../helpers/tus.js';
import { grey, makeVideo } from '../helpers/videos.js';

let folder: TestFolder;
let server: ServerProcess;

before(async () => {
  folder = await TestFolder.make();
  server = new ServerProcess(folder.path, { encode: { preset: 'draft', seconds: 2 } });
  await server.start();
});
after(async () => {
  await server.stop();
  await folder.remove();
});

const photo = (width: number, height: number): Promise<Buffer> => sharp({ create: { width, height, channels: 3, background: '#3377aa' } }).jpeg().toBuffer();

/** Uploads, waits until the video fits (by default: for the end), and where it worked asks a question. */
async function settle(bytes: Uint8Array, name: string, fits = ({ state }: Video): boolean => state === 'ready' || state === 'failed'): Promise<Video> {
  const video = await untilVideo(server.url, await upload(server.url, bytes, name), fits);
  if (video.askable) {
    const socket = await TestSocket.open(server.url);
    socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_video', video_id: video.id }, { type: 'input_text', text: 'What do you see?' }] } });
    socket.send({ type: 'response.create', response: { max_output_tokens: 4 } });
    const { response } = await socket.next('response.done', 60);
    assert.ok(['completed', 'incomplete'].includes(response.status), JSON.stringify(response.status_details));
    await socket.close();
  }
  return video;
}

const good: readonly (readonly [string, string, () => Promise<Uint8Array>, Partial<Video>])[] = [
  ['a video of one frame', 'one.mp4', () => makeVideo({ times: [0] }), { kind: 'video', encoded_frames: 1 }],
  ['a photo', 'photo.jpg', () => photo(640, 480), { kind: 'photo', frames: 1, width: 640, height: 480, encoded_frames: 1 }],
  ['a photo under the name of a video', 'photo.mp4', () => photo(64, 64), { kind: 'photo' }],
  ['a photo of one pixel', 'dot.png', () => sharp({ create: { width: 1, height: 1, channels: 3, background: '#fff' } }).png().toBuffer(), { kind: 'photo', width: 1, height: 1 }],
  ['a video of one pixel', 'dot.webm', () => makeVideo({ container: 'webm', width: 1, height: 1, times: [0, 0.1, 0.2], picture: (_, w, h) => grey(99, w, h) }), { width: 1, height: 1, encoded_frames: 3 }],
  ['a 4K video', 'uhd.mp4', () => makeVideo({ width: 3840, height: 2160, times: [0, 0.5], picture: (frame, w, h) => grey(frame * 50, w, h) }), { width: 3840, height: 2160, encoded_width: 320, encoded_height: 180 }],
];

for (const [name, file, make, expected] of good) {
  test(`${name} can be asked about`, async () => {
    const video = await settle(await make(), file);
    assert.equal(video.state, 'ready', JSON.stringify(video.error));
    for (const [field, value] of Object.entries(expected)) assert.deepEqual([field, video[field as keyof Video]], [field, value]);
  });
}

test('a video of three hours can be asked about at once by eight of its frames', async () => {
  const bytes = await makeVideo({ width: 32, height: 32, times: Array.from({ length: 720 }, (_, index) => index * 15), lastDuration: 15, keyFrameInterval: 600 });
  const video = await settle(bytes, 'long.mp4', ({ askable, state }) => askable || state === 'failed');
  assert.deepEqual([video.error, video.frames, video.encoded_frames, video.duration_s], [null, 720, 8, 10_800]);
  assert.equal((await fetch(`${server.url}/v1/videos/${video.id}`, { method: 'DELETE' })).status, 204);
});

test('what is damaged of a file is told, and the rest of it can be asked about', async () => {
  const video = await settle(await readFile(fixture('inputs/flip5.mp4')), 'flip.mp4');
  assert.deepEqual([video.error, video.frames, video.encoded_frames], [null, 47, 47]);
  assert.match(video.warnings.join(), /^The file is damaged: 1 packet could not be decoded/);
  const good = await settle(await photo(32, 32), 'whole.jpg');
  assert.deepEqual(good.warnings, []);
});

const bad: readonly (readonly [string, string, () => Promise<Uint8Array>, string])[] = [
  ['a text file named .mp4', 'notes.mp4', async () => Buffer.from('Nothing to see here.\n'.repeat(100)), 'unsupported_media'],
  ['a truncated MP4', 'cut.mp4', async () => (await makeVideo()).subarray(0, -800), 'damaged_media'],
  ['the first bytes of an MP4', 'stub.mp4', async () => (await makeVideo()).subarray(0, 40), 'damaged_media'],
  ['an MP4 whose middle was overwritten', 'noise.mp4', async () => overwritten(await makeVideo()), 'damaged_media'],
  ['a single zero byte', 'zero.mp4', async () => new Uint8Array(1), 'unsupported_media'],
  ['a cut photo', 'cut.jpg', async () => (await photo(640, 480)).subarray(0, 200), 'damaged_media'],
];

function overwritten(bytes: Uint8Array): Uint8Array {
  const damaged = bytes.slice();
  for (let index = 200; index < damaged.length - 200; index++) damaged[index] = (index * 7919) & 255;
  return damaged;
}

for (const [name, file, make, code] of bad) {
  test(`${name} is refused with ${code} and a sentence`, async () => {
    const video = await settle(await make(), file);
    assert.deepEqual([video.state, video.askable, video.error?.code], ['failed', false, code], JSON.stringify(video.error));
    assert.match(video.error?.message ?? '', new RegExp(`^(The video in )?${file.replace('.', '[.]')} .{10,}[.]$`, 's'));
    assert.ok(!video.error?.message.includes(folder.path), 'no path of the server is told');
  });
}

test('while a bad file is looked at, others are served', async () => {
  const [bad, good] = await Promise.all([settle(Buffer.from('x'.repeat(5000)), 'bad.mov'), settle(await photo(32, 32), 'good.jpg')]);
  assert.deepEqual([bad.state, good.state], ['failed', 'ready'], JSON.stringify(good.error));
});
