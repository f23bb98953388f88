// The library's functions with the default model pack, in one process.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { answer, ask, encodeLatents, openLinr, openPack, PackError, PromptError, releaseModels, search, SearchError, type LinrVideo } from '../../index.js';
import { sharedModels } from '../../projector/library/shared-models.node.js';
import { demoDir } from '../helpers/demo-server.js';
import { TestFolder } from '../helpers/folder.js';
import { makeVideo } from '../helpers/videos.js';

const bunny = path.join(demoDir, 'bunny.linr');
const options = { threads: 1, maxTokens: 24 };

describe('the library', () => {
  let video: LinrVideo;
  let folder: TestFolder;
  before(async () => {
    folder = await TestFolder.make();
    video = await openLinr(bunny);
  });
  after(async () => {
    await releaseModels();
    await folder.remove();
  });

  test('answers with text that is told piece by piece, what it cost and how sure it is', async () => {
    const pieces: string[] = [];
    const told = await answer(video, 'What color is the grass?', { ...options, onText: (piece) => pieces.push(piece) });
    assert.equal(pieces.join('').trim(), told.text);
    assert.ok(pieces.length > 1);
    assert.ok(told.complete && told.usage.prompt_tokens > 0 && told.seconds.total > 0);
    const { manifest } = await openPack();
    assert.equal(told.confidence === null, manifest.confidence === undefined, 'a pack that has learned to judge says how likely it is right');
    assert.equal(await ask(video, 'What color is the grass?', options), told.text);
  });

  test('names the moments of a question about a time', async () => {
    const { moments, text } = await answer(video, 'What happens at the end?', options);
    assert.equal(moments.length, 1);
    assert.equal(moments[0]?.video, bunny);
    assert.ok((moments[0]?.end_s ?? 0) <= video.duration_s + 0.01);
    assert.match(text, /^From /);
  });

  test('says what is seen when it is asked nothing, and keeps to the choices it is given', async () => {
    assert.match(await ask(video, undefined, options), /\w+ \w+/);
    assert.ok(['day', 'night'].includes(await ask(video, 'Is it day or night?', { ...options, choices: ['day', 'night'] })));
  });

  test('goes on from earlier questions, and answers about several videos', async () => {
    const asked = [{ question: 'What color is the grass?', answer: 'It is blue.' }];
    const followed = await answer(video, 'Say the color again.', { ...options, history: asked });
    assert.notEqual(followed.text, '');
    assert.ok(followed.usage.prompt_tokens > (await answer(video, 'Say the color again.', options)).usage.prompt_tokens);
    assert.notEqual(await ask([video, bunny], 'What is in the second video?', options), '');
  });

  test('loads the models of a pack once, whoever asks, and again after they were released', async () => {
    const [first, second] = await Promise.all([sharedModels({ threads: 1 }), sharedModels({ threads: 1 })]);
    assert.equal(first, second);
    assert.equal(await first.chat(), await second.chat());
    await releaseModels();
    assert.notEqual(await sharedModels({ threads: 1 }), first);
    assert.notEqual(await ask(video, 'What is it?', options), '');
  });

  test('finds moments by words and by a frame, in opened videos and in files', async () => {
    const hits = await search([video], 'a rabbit on the grass', { threads: 1, limit: 3 });
    assert.ok(hits.length > 0 && hits.length <= 3);
    assert.deepEqual([...hits].sort((a, b) => b.score - a.score), hits);
    assert.equal(hits[0]?.video, bunny);
    const alike = await search(bunny, { like: video, frame: 5 }, { threads: 1, scope: 'frames', limit: 132 });
    assert.equal(alike.length, video.frames - 1, 'all frames but the one that was asked for');
  });

  test('makes latents that can be asked about and are told from pictures', async () => {
    const done: number[] = [];
    const clip = await folder.write('clip.mp4', await makeVideo());
    const latents = await encodeLatents(clip, { threads: 1, output: path.join(folder.path, 'latents.linr'), onProgress: (count) => done.push(count) });
    assert.equal(latents.frames, 8);
    assert.deepEqual(done, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.notEqual(await ask(latents, 'What is this?', options), '');
    await assert.rejects(latents.frame(0), { name: 'LinrDecodeError', code: 'pictures_not_ready' });
    assert.deepEqual((await openLinr(path.join(folder.path, 'latents.linr'))).latents, latents.latents);
  });

  test('stops when its signal is aborted, with the reason', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    await assert.rejects(
      ask(video, 'Tell me all about it.', { ...options, signal: controller.signal, onText: () => controller.abort(reason) }),
      (error) => error === reason,
    );
    await assert.rejects(encodeLatents(bunny, { signal: AbortSignal.abort(reason) }), (error) => error === reason);
  });

  test('refuses by code what cannot be used', async () => {
    await assert.rejects(search(video, ' ?! ', { threads: 1 }), (error) => error instanceof SearchError && error.code === 'empty_query');
    await assert.rejects(search(video, { like: video, frame: 999 }, { threads: 1 }), { code: 'frame_not_found', message: /there is no frame 999/ });
    await assert.rejects(openPack(folder.path), (error) => error instanceof PackError && error.code === 'pack_missing');
    await assert.rejects(ask(path.join(folder.path, 'nothing.mp4'), 'What?', options), { name: 'FrameSourceError', code: 'file_missing' });
    await assert.rejects(ask({ ...video, dim: 3 }, 'What?', options), (error) => error instanceof PromptError && error.code === 'wrong_latents');
  });
});
