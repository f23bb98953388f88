/** Conversations about latents with the default pack: reuse of prefixes, cancelling, limits. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ContextError, type DecoderBatch, jsonSchema, oneOf } from '../../model/language/index.js';
import { type ModelPack, openPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { normal, seededRandom } from '../../model/runtime/random.js';
import { type ChatMessage, ChatModel, PromptError, type ReplyOptions, type ReplyResult, type VideoPart } from '../../projector/index.js';

let pack: ModelPack;
let model: ChatModel;
before(async () => {
  pack = await openPack();
  model = await ChatModel.load(pack, nodeRuntime({ threads: 2 }));
});
after(() => model.release());

/** A video of random latents as large as real ones: what the answers say is not the point here. */
async function randomVideo(id: string, frames: number): Promise<VideoPart> {
  const random = seededRandom(id);
  const { dim } = pack.manifest.latent;
  const sigma = (await pack.tensors('latent-map.safetensors')).get('sigma', [dim]).data as Float32Array;
  const latents = Float32Array.from({ length: frames * dim }, (_, i) => normal(random) * (sigma[i % dim] as number));
  return { type: 'video', id, version: '1', latents, dim, times_s: Array.from({ length: frames }, (_, i) => i / 4) };
}

const say = (role: ChatMessage['role'], text: string, ...videos: VideoPart[]): ChatMessage => ({
  role, content: [...videos, { type: 'text', text }],
});

async function answer(messages: readonly ChatMessage[], options: ReplyOptions = {}, by = model): Promise<ReplyResult & { pieces: string[] }> {
  const pieces: string[] = [];
  const reply = by.reply(messages, { maxTokens: 24, ...options });
  for (;;) {
    const next = await reply.next();
    if (next.done === true) return { ...next.value, pieces };
    pieces.push(next.value.text);
  }
}

test('an answer streams in pieces that add up to it', async () => {
  const { text, pieces, usage, finish, seconds } = await answer([say('user', 'What is in the video?', await randomVideo('stream', 20))]);
  assert.equal(pieces.join(''), text);
  assert.ok(pieces.length > 1 && pieces.every((piece) => piece !== ''));
  assert.ok(text.trim().length > 0);
  assert.ok(finish === 'stop' || usage.completion_tokens === 24);
  assert.ok(seconds.first_token > 0 && seconds.first_token <= seconds.total);
});

test('a second question about a video runs its own tokens only, and is answered as if it were the first', async () => {
  const video = await randomVideo('second', 40);
  const first = await answer([say('user', 'What do you see?', video)]);
  assert.ok(first.usage.cached_tokens < 40, 'the first question shares the system message at most');
  const second = await answer([say('user', 'Is anyone in it?', video)]);
  assert.ok(second.usage.cached_tokens > 80, `${second.usage.cached_tokens} tokens were reused`);
  assert.ok(second.usage.prompt_tokens - second.usage.cached_tokens < 25);

  const fresh = await ChatModel.load(pack, nodeRuntime({ threads: 2 }), { cacheBytes: 0 });
  const alone = await answer([say('user', 'Is anyone in it?', video)], {}, fresh);
  assert.equal(alone.usage.cached_tokens, 0);
  assert.equal(second.text, alone.text);
  await fresh.release();
});

test('a conversation that goes on reuses its past turns', async () => {
  const video = await randomVideo('turns', 12);
  const opening = [say('user', 'What do you see?', video)];
  const first = await answer(opening);
  const second = await answer([...opening, say('assistant', first.text), say('user', 'And what else?')]);
  assert.equal(second.usage.cached_tokens, first.usage.prompt_tokens);
});

test('the same question asked again gets the same answer, nearly all of it from the cache', async () => {
  const messages = [say('user', 'What is happening here?', await randomVideo('again', 9))];
  const first = await answer(messages);
  const again = await answer(messages);
  assert.equal(again.text, first.text);
  assert.equal(again.usage.cached_tokens, first.usage.prompt_tokens - 2);
});

test('two conversations at once do not mix', async () => {
  const [a, b] = [await randomVideo('a', 8), await randomVideo('b', 8)];
  const questions = [[say('user', 'What do you see?', a)], [say('user', 'What do you see?', b)]];
  const together = await Promise.all(questions.map((question) => answer(question)));
  for (const [i, question] of questions.entries()) assert.equal((await answer(question)).text, (together[i] as ReplyResult).text);
});

test('answers written at once are those written alone, however long each is', async () => {
  const video = await randomVideo('together', 20);
  const questions = ['What is it?', 'Count from one to ten.', 'Who is there, and what are they doing?', 'Where?'];
  const ask = (question: string, at: number): ReturnType<typeof answer> => answer([say('user', question, ...(at % 2 === 0 ? [video] : []))], { maxTokens: 6 + 9 * at });
  const together = await Promise.all(questions.map(ask));
  for (const [at, question] of questions.entries()) {
    const alone = await ask(question, at);
    assert.deepEqual([together[at]?.text, together[at]?.finish], [alone.text, alone.finish]);
  }
  assert.ok((together[2]?.usage.cached_tokens ?? 0) > 40, 'the third found the video that the first had read');
});

test('greedy answers repeat, sampled ones repeat with their seed', async () => {
  const messages = [say('user', 'Tell me a story about a dog.')];
  assert.equal((await answer(messages)).text, (await answer(messages)).text);
  const sampled = { temperature: 1, topP: 0.95, seed: 5 };
  assert.equal((await answer(messages, sampled)).text, (await answer(messages, sampled)).text);
  assert.notEqual((await answer(messages, sampled)).text, (await answer(messages, { ...sampled, seed: 6 })).text);
});

test('a cancel ends the answer within a token and keeps what was written', async () => {
  const controller = new AbortController();
  const reply = model.reply([say('user', 'Count from one to one hundred in words.')], { maxTokens: 200, signal: controller.signal });
  let text = '';
  for (let piece = 1; piece <= 3; piece++) {
    const next = await reply.next();
    assert.ok(next.done !== true);
    text += next.value.text;
  }
  controller.abort();
  const rest = await reply.next();
  assert.ok(rest.done === true, 'nothing is written after the cancel');
  assert.equal(rest.value.finish, 'cancelled');
  assert.equal(rest.value.text, text);
});

test('cancelled before it began, nothing is written', async () => {
  const { finish, text, usage } = await answer([say('user', 'Hello')], { signal: AbortSignal.abort() });
  assert.deepEqual([finish, text, usage.completion_tokens], ['cancelled', '', 0]);
});

test('a listener that leaves in the middle leaves a usable cache behind', async () => {
  const messages = [say('user', 'Describe a garden in many words.')];
  for await (const piece of model.reply(messages, { maxTokens: 30 })) if (piece.text !== '') break;
  const whole = await answer(messages);
  assert.ok(whole.usage.cached_tokens > 0);
  assert.ok(whole.text.length > 0);
});

test('maxTokens and stop strings end the answer', async () => {
  const messages = [say('user', 'Count from one to twenty in words.')];
  const short = await answer(messages, { maxTokens: 5 });
  assert.deepEqual([short.finish, short.usage.completion_tokens], ['length', 5]);
  const longer = await answer(messages, { maxTokens: 20 });
  const stop = longer.text.slice(8, 12);
  const stopped = await answer(messages, { maxTokens: 20, stop: [stop] });
  assert.deepEqual([stopped.finish, stopped.text], ['stop', longer.text.slice(0, longer.text.indexOf(stop))]);
});

test('an answer under a grammar is one of the choices or JSON of the schema, sampled or not', async () => {
  const video = await randomVideo('grammar', 4);
  const question = [say('user', 'Is this indoors or outdoors?', video)];
  const schema = jsonSchema({ type: 'object', properties: { place: { type: 'string', maxLength: 20 }, people: { type: 'integer' }, outdoors: { type: 'boolean' } }, required: ['place', 'people', 'outdoors'] });
  for (const sampling of [{}, { temperature: 1.5, seed: 3 }]) {
    const chosen = await answer(question, { ...sampling, grammar: oneOf(['indoors', 'outdoors', 'im Freien – außen']) });
    assert.ok(['indoors', 'outdoors', 'im Freien – außen'].includes(chosen.text), chosen.text);
    assert.equal(chosen.finish, 'stop');
    const { text } = await answer(question, { ...sampling, grammar: schema, maxTokens: 80 });
    const value = JSON.parse(text) as Record<string, unknown>;
    assert.deepEqual(Object.entries(value).map(([name, part]) => `${name} ${typeof part}`), ['place string', 'people number', 'outdoors boolean']);
  }
  await assert.rejects(answer(question, { grammar: schema, beams: 3 }), /beams/);
});

test('beam search gives one whole answer', async () => {
  const { text, pieces, finish } = await answer([say('user', 'What is the capital of France?')], { beams: 3 });
  assert.match(text, /Paris/);
  assert.equal(pieces.length, 1);
  assert.equal(finish, 'stop');
});

test('searches that wait for each other hold the beams of one, and find what each finds alone', async () => {
  const own = await ChatModel.load(pack, nodeRuntime({ threads: 2 }), { searchesInTurn: true });
  try {
    const batch = Reflect.get(own, 'batch') as DecoderBatch;
    const questions = await Promise.all(['a', 'b', 'c'].map(async (id) => [say('user', 'Describe the video.', await randomVideo(id, 4))]));
    const held: number[] = [];
    const search = (question: readonly ChatMessage[], signal?: AbortSignal): Promise<ReplyResult> => {
      const rank = (texts: readonly string[]): Promise<readonly number[]> => {
        held.push(batch.size);
        return Promise.resolve(texts.map(() => 0));
      };
      return answer(question, { beams: 3, rank, ...(signal === undefined ? {} : { signal }) }, own);
    };
    const alone = [];
    for (const question of questions) alone.push((await search(question)).text);
    const together = await Promise.all(questions.map((question) => search(question)));
    assert.deepEqual(together.map(({ text }) => text), alone);
    assert.ok(held.length === 6 && Math.max(...held) <= 3, held.join(' '));
    const given = new AbortController();
    const [first, second] = [search(questions[0] ?? []), search(questions[1] ?? [], given.signal)];
    given.abort();
    assert.deepEqual([(await second).finish, (await first).text], ['cancelled', alone[0]]);
  } finally {
    await own.release();
  }
});

test('of the texts that beams have found, a rank chooses', async () => {
  const question = [say('user', 'Describe the video.', await randomVideo('ranked', 6))];
  const found: (readonly string[])[] = [];
  const ranked = (place: number): Promise<ReplyResult> =>
    answer(question, { beams: 3, maxTokens: 60, rank: (texts, messages) => {
      assert.equal(messages, question);
      found.push(texts);
      return Promise.resolve(texts.map((_, i) => (i === place ? 1000 : 0)));
    } });
  const likeliest = await answer(question, { beams: 3, maxTokens: 60 });
  const [first, last] = [await ranked(0), await ranked(2)];
  assert.equal(new Set(found[0]).size, 3);
  assert.deepEqual(found[1], found[0]);
  assert.deepEqual([likeliest.text, first.text, last.text], [found[0]?.[0], found[0]?.[0], found[0]?.[2]]);
  assert.equal((await answer(question, { rank: () => Promise.reject(new Error('not asked')) })).finish !== 'cancelled', true);
});

test('a message that does not fit is refused with both numbers', async () => {
  const long = [say('user', 'word '.repeat(model.context))];
  const needed = model.countTokens(long);
  assert.ok(needed > model.context);
  await assert.rejects(answer(long), (error) => error instanceof ContextError && error.needed === needed + 16 && error.message.includes(`holds ${model.context}`));
});

test('latents of another size and options out of range are refused by name', async () => {
  const video = await randomVideo('wrong', 2);
  await assert.rejects(answer([say('user', 'x', { ...video, dim: 128, times_s: [0, 1, 2, 3] })]), PromptError);
  await assert.rejects(answer([]), PromptError);
  await assert.rejects(answer([say('user', 'x')], { maxTokens: 0 }), /maxTokens/);
  await assert.rejects(answer([say('user', 'x')], { beams: 99 }), /beams/);
  await assert.rejects(answer([say('user', 'x')], { temperature: -1 }), /temperature/);
});

test('the answer the model gives is likelier than another, with the prefix run once', async () => {
  const video = await randomVideo('likelihood', 12);
  const question = [say('user', 'What is in the video?', video)];
  const { text } = await answer(question, { maxTokens: 12 });
  const [own, other] = await model.score(question, [text.trim(), 'Quantum chromodynamics, regrettably.']);
  assert.ok(own !== undefined && other !== undefined);
  assert.ok(own.logProbability / own.tokens > other.logProbability / other.tokens, `${own.logProbability} against ${other.logProbability}`);
  const again = await model.score(question, [text.trim()]);
  assert.equal(again[0]?.logProbability, own.logProbability);
  await assert.rejects(model.score(question, ['']), RangeError);
  await assert.rejects(model.score(question, ['yes'], { signal: AbortSignal.abort(new Error('enough')) }), /enough/);
});
