import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Video } from '../../server/api/schemas.js';
import { buildPrompt, checkLength, videoIdOf, type PromptContext, type Turn } from '../../server/chat/prompt.js';
import { defaultLimits } from '../../server/config.js';
import { ApiError } from '../../server/errors.js';
import { isId, newId } from '../../server/ids.js';
import { Turns } from '../../server/inference/turns.js';
import { VideoFeed, type Told, type VideoChange } from '../../server/library/feed.js';
import { attachment } from '../../server/routes/downloads.js';
import { etagMatches, parseRange } from '../../server/routes/ranges.js';
import type { VideoRow } from '../../server/store/videos.js';
import { displayName } from '../../server/uploads/receiver.js';
import { typeOf } from '../../server/uploads/type.js';
import { writeContainer } from '../../model/container/index.js';
import { sampleContainer } from '../helpers/containers.js';
import { silentLog } from '../helpers/log.js';

test('ranges: first and last bytes, suffixes, and what is answered with the whole file', () => {
  assert.deepEqual(parseRange('bytes=0-9', 100), { start: 0, end: 9 });
  assert.deepEqual(parseRange('bytes=90-', 100), { start: 90, end: 99 });
  assert.deepEqual(parseRange('bytes=-10', 100), { start: 90, end: 99 });
  assert.deepEqual(parseRange('bytes=-1000', 100), { start: 0, end: 99 });
  assert.deepEqual(parseRange('bytes=50-1000', 100), { start: 50, end: 99 });
  assert.equal(parseRange('bytes=100-', 100), 'unsatisfiable');
  assert.equal(parseRange('bytes=-0', 100), 'unsatisfiable');
  for (const header of [undefined, '', 'bytes=', 'bytes=-', 'bytes=9-0', 'items=0-9', 'bytes=0-1,5-6']) assert.equal(parseRange(header, 100), null, header);
});

test('entity tags match strongly, weakly and by star', () => {
  assert.ok(etagMatches('"a"', '"a"'));
  assert.ok(etagMatches('"b", W/"a"', '"a"'));
  assert.ok(etagMatches('*', '"a"'));
  assert.ok(!etagMatches('"b"', '"a"'));
  assert.ok(!etagMatches(undefined, '"a"'));
});

test('clients take turns, however many entries one of them has', () => {
  const turns = new Turns<string>();
  for (const entry of ['a1', 'a2', 'a3']) turns.add('a', entry);
  turns.add('b', 'b1');
  turns.add('c', 'c1');
  assert.equal(turns.next(), 'a1');
  assert.equal(turns.next(), 'b1');
  turns.add('b', 'b2');
  assert.equal(turns.remove((entry) => entry === 'a2'), 'a2');
  assert.equal(turns.remove((entry) => entry === 'x'), null);
  assert.equal(turns.length, 3);
  assert.deepEqual([turns.next(), turns.next(), turns.next(), turns.next()], ['c1', 'a3', 'b2', null]);
});

test('what was taken too early is the next of its client again', () => {
  const turns = new Turns<string>();
  for (const entry of ['a1', 'a2']) turns.add('a', entry);
  turns.add('b', 'b1');
  assert.equal(turns.next(), 'a1');
  turns.putBack('a', 'a1');
  turns.putBack('c', 'c1');
  assert.equal(turns.length, 4);
  assert.deepEqual([turns.next(), turns.next(), turns.next(), turns.next()], ['b1', 'a1', 'c1', 'a2']);
});

test('the order of turns is told before they are taken', () => {
  const turns = new Turns<string>();
  for (const entry of ['a1', 'a2', 'a3']) turns.add('a', entry);
  turns.add('b', 'b1');
  turns.add('c', 'c1');
  const order = turns.order();
  assert.deepEqual(order, ['a1', 'b1', 'c1', 'a2', 'a3']);
  assert.deepEqual(order.map(() => turns.next()), order);
  assert.deepEqual(turns.order(), []);
});

test('ids are recognised, and nothing else is', () => {
  const id = newId('vid');
  assert.ok(isId('vid', id));
  assert.ok(!isId('conv', id));
  for (const wrong of ['', 'vid_', '../vid_', `${id}/..`, `${id}0`, id.toUpperCase()]) assert.ok(!isId('vid', wrong), wrong);
});

test('names of uploads lose folders, control characters and excess length', () => {
  assert.equal(displayName('C:\\Users\\me\\clip.mp4'), 'clip.mp4');
  assert.equal(displayName('../../etc/passwd'), 'passwd');
  assert.equal(displayName('a\u0000b\u202ec.mp4\n'), 'abc.mp4');
  assert.equal(displayName(null), 'video');
  assert.equal(displayName('///'), 'video');
  assert.equal(displayName('x'.repeat(500)).length, 200);
  assert.equal(displayName('Käse – 猫.mp4'), 'Käse – 猫.mp4');
});

test('names of downloads are never cut inside a character, and say what RFC 8187 lets them', () => {
  const nameOf = (disposition: string): string => decodeURIComponent(disposition.replace("attachment; filename*=UTF-8''", ''));
  for (const name of ['é'.repeat(400), 'a' + '長'.repeat(400), '👩‍🚀'.repeat(300), "l'été (2) *.mov", '\ud83d half', '']) {
    const disposition = attachment(`${name}.mov`, '.linr');
    assert.match(disposition, /^attachment; filename\*=UTF-8''(?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-F]{2})*\.linr$/);
    assert.ok(disposition.length <= 2100 && Buffer.from(name).toString().startsWith(nameOf(disposition).slice(0, -'.linr'.length)), name.slice(0, 20));
  }
  assert.equal(displayName('🎬'.repeat(300)), '🎬'.repeat(200));
});

test('the type of a file is judged from its bytes', () => {
  const container = writeContainer(sampleContainer());
  assert.deepEqual(typeOf(container.subarray(0, 600)), { kind: 'video', extension: 'linr' });
  assert.equal(typeOf(container.subarray(0, 12)).extension, 'linr');
  assert.equal(typeOf(Buffer.from('ordinary text, whatever its name')).extension, 'media');
  assert.equal(typeOf(Buffer.from([0xff, 0xd8, 0xff, 0xe0])).kind, 'photo');
  assert.equal(typeOf(new Uint8Array(0)).extension, 'media');
});

const rows = new Map<string, Pick<VideoRow, 'container' | 'error' | 'name'>>();
const facts = { version: '1', stage: 'final', bytes: 1, width: 1, height: 1, frames: 1, psnr_db: null } as const;
const context: PromptContext = {
  limits: { ...defaultLimits, promptChars: 100, questionChars: 50, videosPerChat: 2 },
  folder: { container: (id) => `/data/${id}` },
  library: {
    row(id, param = null) {
      const row = rows.get(id);
      if (!row) throw new ApiError('video_not_found', { param });
      return row as VideoRow;
    },
  },
};
for (const id of ['v1', 'v2', 'v3']) rows.set(id, { name: `${id}.mp4`, container: facts, error: null });
rows.set('young', { name: 'young.mp4', container: null, error: null });
rows.set('broken', { name: 'broken.mp4', container: null, error: { code: 'damaged_media', message: 'The file is cut off.' } });

const user = (text: string, ...videos: string[]): Turn => ({ role: 'user', text, videos });
const assistant = (text: string): Turn => ({ role: 'assistant', text, videos: [] });
const codeOf = (turns: readonly Turn[]): string => {
  try {
    buildPrompt(context, turns, 'messages');
  } catch (error) {
    assert.ok(error instanceof ApiError);
    return error.code;
  }
  return 'none';
};

test('a prompt has each video once, before the text, and neighbours of one role as one message', () => {
  const prompt = buildPrompt(context, [user('', 'v1'), user('What is it?', 'v1'), assistant('A cat.'), user('Sure?', 'v1', 'v2')], 'messages');
  assert.deepEqual(prompt, [
    { role: 'user', content: [{ type: 'video', id: 'v1', file: '/data/v1' }, { type: 'text', text: 'What is it?' }] },
    { role: 'assistant', content: [{ type: 'text', text: 'A cat.' }] },
    { role: 'user', content: [{ type: 'video', id: 'v2', file: '/data/v2' }, { type: 'text', text: 'Sure?' }] },
  ]);
});

test('instructions come first, and only where there are some', () => {
  const prompt = buildPrompt(context, [{ role: 'system', text: 'Be brief.', videos: [] }, user('Hi')], 'messages');
  assert.deepEqual(prompt.map(({ role }) => role), ['system', 'user']);
  assert.deepEqual(buildPrompt(context, [{ role: 'system', text: '', videos: [] }, user('Hi')], 'messages').map(({ role }) => role), ['user']);
});

test('of a conversation that is far too long the oldest turns are left out, several at once, and their videos are kept', () => {
  const turns = [user(`First ${'x'.repeat(30)}`, 'v1'), assistant('One.'), user(`Second ${'x'.repeat(60)}`, 'v2'), assistant('Two.'), user('Third'), assistant('Three.'), user('Fourth')];
  const prompt = buildPrompt(context, turns, 'messages');
  assert.deepEqual(prompt.map(({ role }) => role), ['user', 'assistant', 'user']);
  assert.deepEqual(prompt[0]?.content.map((part) => (part.type === 'video' ? part.id : part.text)), ['v1', 'v2', 'Third']);
});

test('however many short turns a conversation has, all are handed to the model, which knows what fits', () => {
  const turns = [...Array.from({ length: 12 }, () => [user('a'), assistant('b')]).flat(), user('c')];
  assert.equal(buildPrompt(context, turns, 'messages').length, turns.length);
});

test('a question that alone is longer than the prompt may be is still asked', () => {
  const long = 'x'.repeat(150);
  assert.deepEqual(buildPrompt(context, [user('Old'), assistant('Yes.'), user(long)], 'messages'), [{ role: 'user', content: [{ type: 'text', text: long }] }]);
});

test('questions that got no answer stay apart: the last one is what is asked', () => {
  const prompt = buildPrompt(context, [user('First?', 'v1'), user('Second?'), user('', 'v2')], 'messages');
  assert.deepEqual(prompt.map(({ content }) => content.map((part) => (part.type === 'video' ? part.id : part.text))), [['v1', 'First?'], ['v2', 'Second?']]);
});

test('a conversation outlives what its older turns showed: videos that are gone, and more than it may have', () => {
  const shown = (turns: readonly Turn[]): string[] => buildPrompt(context, turns, 'messages').flatMap(({ content }) => content.flatMap((part) => (part.type === 'video' ? [part.id] : [])));
  assert.deepEqual(shown([user('A', 'gone', 'v1'), assistant('Yes.'), user('B')]), ['v1']);
  assert.deepEqual(shown([user('A', 'v1'), assistant('Yes.'), user('B', 'v2'), assistant('Yes.'), user('C', 'v3')]), ['v2', 'v3']);
  assert.equal(codeOf([user('A', 'gone'), assistant('Yes.'), user('B')]), 'video_not_found', 'nothing is left that an answer could be about');
  assert.equal(codeOf([user('A', 'v1'), assistant('Yes.'), user('B', 'gone')]), 'video_not_found');
});

test('what cannot be asked is refused with a code', () => {
  assert.equal(codeOf([]), 'empty_question');
  assert.equal(codeOf([user('  \n')]), 'empty_question');
  assert.equal(codeOf([user('', 'v1')]), 'empty_question');
  assert.equal(codeOf([user('Hi'), assistant('Hello.')]), 'empty_question');
  assert.equal(codeOf([user('Hi', 'gone')]), 'video_not_found');
  assert.equal(codeOf([user('Hi', 'young')]), 'video_not_ready');
  assert.equal(codeOf([user('Hi', 'broken')]), 'video_not_ready');
  assert.equal(codeOf([user('Hi', 'v1', 'v2', 'v3')]), 'too_many_videos');
});

test('texts above the limit are refused with both lengths', () => {
  assert.throws(() => checkLength('x'.repeat(51), context.limits, 'item'), { code: 'question_too_long', message: /51.*50/ });
  checkLength('x'.repeat(50), context.limits, 'item');
});

test('only video:// addresses name videos', () => {
  assert.equal(videoIdOf('video://vid_1', 'url'), 'vid_1');
  for (const url of ['https://example.com/a.mp4', 'file:///etc/passwd', 'video://', 'video://a/b', 'data:video/mp4;base64,AA', 'vid_1']) {
    assert.throws(() => videoIdOf(url, 'url'), { code: 'unsupported_video_url' }, url);
  }
});

test('progress is thinned out, its last state always told, and a change of state at once', async () => {
  let done = 0;
  const video = (id: string): Told => ({ video: { id, progress: { done } } as Video, owner: null });
  const feed = new VideoFeed({ perSecond: 20, present: video, log: silentLog });
  const seen: VideoChange[] = [];
  feed.subscribe((change) => seen.push(change));
  feed.changed('v', true);
  assert.equal(seen.length, 1);
  for (done = 1; done <= 100; done++) feed.changed('v', false);
  done = 100;
  await new Promise((resolve) => setTimeout(resolve, 200));
  const last = seen.at(-1);
  assert.ok(seen.length >= 1 && seen.length <= 3, `${seen.length} events`);
  assert.equal(last?.type === 'video.progress' && last.video.progress?.done, 100);
  feed.deleted('v', { owner: null });
  assert.deepEqual(seen.at(-1), { type: 'video.deleted', video_id: 'v' });
  feed.close();
});
