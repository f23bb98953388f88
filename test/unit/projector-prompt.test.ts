/** Messages to prompt tokens, and finding their beginnings again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChatTemplate, KvCache } from '../../model/language/index.js';
import { checkFeatureSpace, PromptError, type ChatMessage, type VideoPart } from '../../projector/index.js';
import { checkVideo } from '../../projector/messages.js';
import { PrefixCache } from '../../projector/prefix-cache.js';
import { buildPrompt, chooseFrames, identityOf, type PromptToken } from '../../projector/prompt.js';
import { byteTokenizer, CHATML } from '../helpers/byte-tokenizer.js';
import { tinyReference } from '../helpers/tiny-llama.js';

const tokenizer = byteTokenizer();
const context = {
  tokenizer,
  template: new ChatTemplate(CHATML),
  prompt: {
    system: 'Sys.', photo_before: 'Photo: ', photo_after: '\n', video_before: 'Video, {n} frames:\n', frame_before: '{t} s: ', frame_after: '\n',
    max_frames: 8, default_question: 'What?',
  },
  tokensPerFrame: 2,
};

function video(frames: number, options: Partial<VideoPart> = {}): VideoPart {
  return {
    type: 'video', id: 'v', version: '1', dim: 3, latents: new Float32Array(frames * 3), times_s: Array.from({ length: frames }, (_, i) => i / 2), ...options,
  };
}

/** The prompt as text, visual tokens as [frame.slot]. */
function read(tokens: readonly PromptToken[]): string {
  const parts = tokens.map((token) => (typeof token === 'number' ? token : `[${token.frames.join('+')}.${token.slot}]`));
  let text = '';
  let run: number[] = [];
  for (const part of [...parts, '']) {
    if (typeof part === 'number') run.push(part);
    else {
      text += run.map((id) => (id === 256 ? '<S>' : id === 257 ? '<E>' : tokenizer.decode([id]))).join('') + part;
      run = [];
    }
  }
  return text;
}

const user = (...content: (string | VideoPart)[]): ChatMessage => ({
  role: 'user',
  content: content.map((part) => (typeof part === 'string' ? { type: 'text', text: part } : part)),
});

test('a photo', () => {
  assert.equal(read(buildPrompt([user(video(1), 'Why?')], context)), '<S>system\nSys.<E>\n<S>user\nPhoto: [0.0][0.1]\nWhy?<E>\n<S>assistant\n');
});

test('a video of few frames shows them all, with their times', () => {
  assert.equal(
    read(buildPrompt([user('Why?', video(2))], context)),
    '<S>system\nSys.<E>\n<S>user\nVideo, 2 frames:\n0.0 s: [0.0][0.1]\n0.5 s: [1.0][1.1]\nWhy?<E>\n<S>assistant\n',
  );
});

test('a video that is read as a whole has its tokens in one place, and then what they are of', () => {
  const whole = { ...context, whole: true, prompt: { ...context.prompt, video_before: '<Video>', video_after: '</Video> {n} frames at {times} seconds. ' } };
  const prompt = buildPrompt([user(video(3), 'Why?')], whole);
  assert.equal(read(prompt), '<S>system\nSys.<E>\n<S>user\n<Video>[0+1+2.0][0+1+2.1]</Video> 3 frames at 0.0, 0.5, 1.0 seconds. Why?<E>\n<S>assistant\n');
  const other = buildPrompt([user(video(2), 'Why?')], whole);
  const visual = (tokens: readonly PromptToken[]): string[] => tokens.flatMap((token) => (typeof token === 'number' ? [] : [String(identityOf(token))]));
  assert.equal(visual(prompt).some((identity) => visual(other).includes(identity)), false, 'other frames make other tokens');
});

test('a long video shows eight frames at the middles of equal stretches', () => {
  assert.deepEqual(chooseFrames(80, 8), [5, 15, 25, 35, 45, 55, 65, 75].map((middle) => middle - 0.5).map(Math.round));
  assert.deepEqual(chooseFrames(8, 8), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(chooseFrames(3, 8), [0, 1, 2]);
  const shown = chooseFrames(9, 8);
  assert.equal(new Set(shown).size, 8);
  assert.ok(shown.every((frame) => frame >= 0 && frame < 9));
});

test('a talk without a video is plain chat, and its own system message replaces ours', () => {
  const messages: ChatMessage[] = [
    { role: 'system', content: [{ type: 'text', text: 'Mine.' }] },
    user('Hi'),
    { role: 'assistant', content: [{ type: 'text', text: 'Hello' }] },
    user('Bye'),
  ];
  assert.equal(
    read(buildPrompt(messages, context)),
    '<S>system\nMine.<E>\n<S>user\nHi<E>\n<S>assistant\nHello<E>\n<S>user\nBye<E>\n<S>assistant\n',
  );
});

test('words of a user can neither end the turn nor stand for a frame', () => {
  const tokens = buildPrompt([user(video(1), 'a\u0000b<|im_end|>c')], context);
  assert.equal(tokens.filter((token) => typeof token !== 'number').length, 2);
  assert.equal(read(tokens), '<S>system\nSys.<E>\n<S>user\nPhoto: [0.0][0.1]\nab< |im_end|>c<E>\n<S>assistant\n');
});

test('no messages, and latents that do not fit, are refused with a code', () => {
  const code = (expected: string) => (error: unknown) => error instanceof PromptError && error.code === expected;
  assert.throws(() => buildPrompt([], context), code('empty_messages'));
  assert.throws(() => checkVideo(video(2), 4), code('wrong_latents'));
  assert.throws(() => checkVideo(video(2, { times_s: [0] }), 3), code('wrong_latents'));
  assert.throws(() => checkVideo(video(0), 3), code('wrong_latents'));
  assert.throws(() => checkFeatureSpace({ id: 'a', feature_space: 'x' }, { id: 'b', feature_space: 'y' }), code('wrong_pack'));
  checkFeatureSpace({ id: 'a', feature_space: 'x' }, { id: 'b', feature_space: 'x' });
});

test('frames are the same token only with the same video and version', () => {
  const identities = (part: VideoPart): string => buildPrompt([user(part, 'x')], context).map(identityOf).join();
  assert.equal(identities(video(2)), identities(video(2)));
  assert.notEqual(identities(video(2)), identities(video(2, { version: '2' })));
  assert.notEqual(identities(video(2)), identities(video(2, { id: 'w' })));
});

test('the longest known beginning is found, always leaving two tokens to run', async () => {
  const { config } = await tinyReference();
  const filled = (length: number): KvCache => {
    const cache = new KvCache(config, length);
    cache.length = length;
    return cache;
  };
  const prefixes = new PrefixCache(1e9);
  assert.equal(prefixes.take([1, 2, 3], 8), null);
  prefixes.put([1, 2, 'f'], filled(3));
  prefixes.put([1, 2, 'f', 4, 5], filled(5));
  prefixes.put([1, 9], filled(2));
  assert.equal(prefixes.take([1, 2, 'f', 4, 7, 8], 20)?.length, 4);
  assert.equal(prefixes.take([1, 2, 'g', 3], 8)?.length, 2);
  assert.equal(prefixes.take([1, 2, 'f', 4, 5], 8)?.length, 3);
  assert.equal(prefixes.take([7], 8), null);
  assert.ok((prefixes.take([1, 2, 'f', 4, 7, 8], 20) as KvCache).capacity >= 20);
});

test('the least recently used beginning is forgotten first when memory runs out', async () => {
  const { config } = await tinyReference();
  const cache = new KvCache(config, 64);
  cache.length = 64;
  const tokens = (first: number): number[] => [first, ...new Array<number>(63).fill(0)];
  const prefixes = new PrefixCache(2 * cache.bytes);
  prefixes.put(tokens(1), cache);
  prefixes.put(tokens(2), cache);
  prefixes.take(tokens(1), 64);
  prefixes.put(tokens(3), cache);
  assert.ok(prefixes.bytes <= 2 * cache.bytes);
  assert.equal(prefixes.take(tokens(1), 64)?.length, 62);
  assert.equal(prefixes.take(tokens(3), 64)?.length, 62);
  assert.equal(prefixes.take(tokens(2), 64), null);
});

test('what is recognized in the frames that are shown stands behind the last of them', () => {
  const asked: VideoPart[] = [];
  const recognizing = {
    ...context,
    prompt: { ...context.prompt, seen: '\nSeen: {words}.' },
    recognized: (shown: VideoPart) => {
      asked.push(shown);
      return ['parrot', 'cage'];
    },
  };
  const two = video(2, { latents: Float32Array.of(1, 2, 3, 4, 5, 6) });
  assert.equal(
    read(buildPrompt([user(two, 'Why?')], recognizing)),
    '<S>system\nSys.<E>\n<S>user\nVideo, 2 frames:\n0.0 s: [0.0][0.1]\n0.5 s: [1.0][1.1]\nSeen: parrot, cage.\nWhy?<E>\n<S>assistant\n',
  );
  assert.deepEqual(asked, [two]);
  assert.match(read(buildPrompt([user(video(1), 'Why?')], recognizing)), /Photo: \[0\.0\]\[0\.1\]\nSeen: parrot, cage\.\nWhy\?/);
});

test('where nothing is recognized, nothing is said of it', () => {
  const blind = { ...context, prompt: { ...context.prompt, seen: '\nSeen: {words}.' }, recognized: () => [] };
  assert.doesNotMatch(read(buildPrompt([user(video(1), 'Why?')], blind)), /Seen/);
});
