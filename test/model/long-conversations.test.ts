/** Conversations at the edge of the context, with the default pack. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { jsonSchema } from '../../model/language/index.js';
import { type ModelPack, openPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { normal, seededRandom } from '../../model/runtime/random.js';
import { type ChatMessage, ChatModel, ChoiceScorer, type ReplyOptions, type ReplyResult, type VideoPart } from '../../projector/index.js';
import { longText } from '../helpers/long-text.js';

const runtime = nodeRuntime({ threads: 2 });
let pack: ModelPack;
before(async () => {
  pack = await openPack();
});

/** A video of random latents as large as real ones. */
async function randomVideo(id: string, frames: number): Promise<VideoPart> {
  const random = seededRandom(id);
  const { dim } = pack.manifest.latent;
  const sigma = (await pack.tensors('latent-map.safetensors')).get('sigma', [dim]).data as Float32Array;
  const latents = Float32Array.from({ length: frames * dim }, (_, i) => normal(random) * (sigma[i % dim] as number));
  return { type: 'video', id, version: '1', latents, dim, times_s: Array.from({ length: frames }, (_, i) => i / 4) };
}

const say = (role: ChatMessage['role'], text: string, ...videos: VideoPart[]): ChatMessage => ({ role, content: [...videos, { type: 'text', text }] });

async function answer(model: ChatModel, messages: readonly ChatMessage[], options: ReplyOptions = {}): Promise<ReplyResult> {
  const reply = model.reply(messages, { maxTokens: 8, ...options });
  for (;;) {
    const next = await reply.next();
    if (next.done === true) return next.value;
  }
}

test('forty turns of 400 tokens are all answered, and most of each prompt need not be read again', async () => {
  const model = await ChatModel.load(pack, runtime);
  try {
    const messages: ChatMessage[] = [];
    const video = await randomVideo('long', 40);
    let [read, asked] = [0, 0];
    for (let turn = 0; turn < 40; turn++) {
      messages.push(turn === 0 ? say('user', 'What do you see?', video) : say('user', `And what about number ${turn}?`));
      const { usage, text, finish } = await answer(model, messages, { maxTokens: 400, stop: [' '] });
      assert.ok(finish === 'stop' && usage.prompt_tokens + 400 <= model.context, `turn ${turn}: ${finish}, ${usage.prompt_tokens} tokens`);
      assert.equal(typeof text, 'string');
      read += usage.prompt_tokens - usage.cached_tokens;
      asked += usage.prompt_tokens;
      messages.push(say('assistant', longText(400, turn)));
    }
    assert.ok(model.countTokens(messages) > 3.5 * model.context, 'the conversation was far longer than the context');
    assert.ok(read < asked / 3, `${read} of ${asked} tokens were run`);
  } finally {
    await model.release();
  }
});

describe('at the edge of a context', () => {
  /** Not a multiple of the steps in which memory is taken. */
  const CONTEXT = 700;
  let model: ChatModel;
  before(async () => {
    model = await ChatModel.load(pack, runtime, { context: CONTEXT });
  });
  after(() => model.release());

  /** A conversation of which only some turns fit. */
  const long = (last: string, ...videos: VideoPart[]): ChatMessage[] => [
    say('user', 'Look.', ...videos), say('assistant', 'I do.'),
    ...Array.from({ length: 12 }, (_, turn) => [say('user', `Tell me about number ${turn}.`), say('assistant', longText(80, turn))]).flat(),
    say('user', last),
  ];
  /** A question whose prompt has so many tokens. */
  const ofTokens = (tokens: number): ChatMessage[] => {
    const words = (count: number): ChatMessage[] => [say('user', 'word '.repeat(count).trim())];
    return words(1 + tokens - model.countTokens(words(1)));
  };

  test('an answer may end with the very last position, and one token less is what is left for it', async () => {
    for (const room of [16, 17, 40]) {
      const messages = ofTokens(CONTEXT - room);
      assert.equal(model.countTokens(messages), CONTEXT - room);
      const { finish, usage } = await answer(model, messages, { maxTokens: 100, noRepeatNgram: 0, temperature: 2, seed: 1 });
      assert.ok(finish === 'stop' || usage.completion_tokens === room, `${finish} after ${usage.completion_tokens} of ${room}`);
    }
    await assert.rejects(answer(model, ofTokens(CONTEXT - 15), { maxTokens: 100 }), { name: 'ContextError' });
  });

  test('a short answer is the same beside one that has come to the last positions', async () => {
    const own = await ChatModel.load(pack, runtime, { context: CONTEXT, independent: true });
    try {
      const short = [say('user', 'What is the capital of France?')];
      const edge = ofTokens(CONTEXT - 20);
      const alone = await answer(own, short, { maxTokens: 30 });
      const edgeAlone = await answer(own, edge, { maxTokens: 30 });
      const [beside, last] = await Promise.all([answer(own, short, { maxTokens: 30 }), answer(own, edge, { maxTokens: 30 })]);
      assert.deepEqual([beside.text, last.text], [alone.text, edgeAlone.text]);
    } finally {
      await own.release();
    }
  });

  test('a short question is answered while a long conversation is still being read', async () => {
    const first: string[] = [];
    const ask = async (name: string, messages: readonly ChatMessage[]): Promise<void> => {
      for await (const piece of model.reply(messages, { maxTokens: 3 })) {
        if (piece.text !== '') first.push(name);
        return;
      }
    };
    await Promise.all([ask('long', [say('user', longText(CONTEXT - 100, 99))]), ask('short', [say('user', 'Hi!')])]);
    assert.deepEqual(first, ['short', 'long']);
  });

  test('several videos stay while turns go', async () => {
    const videos = await Promise.all(['a', 'b', 'c'].map((id) => randomVideo(id, 8)));
    const messages = long('What is in the videos?', ...videos);
    assert.ok(model.countTokens(messages) > 2 * CONTEXT);
    const few = model.countTokens([say('user', 'What is in the videos?', ...videos)]);
    const { usage } = await answer(model, messages);
    assert.ok(usage.prompt_tokens >= few, `${usage.prompt_tokens} tokens, of which the videos and the question are ${few}`);
    const eight = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].map((id) => randomVideo(id, 8)));
    assert.ok((await answer(model, long('What is in the videos?', ...eight))).usage.prompt_tokens <= CONTEXT - 8);
  });

  test('JSON under a schema has room to end', async () => {
    const schema = jsonSchema({ type: 'object', properties: { place: { type: 'string', maxLength: 20 }, people: { type: 'integer' } }, required: ['place', 'people'] });
    const video = await randomVideo('json', 8);
    const { text, finish } = await answer(model, long('Where is it, and how many people are there?', video), { grammar: schema, maxTokens: 80 });
    assert.equal(finish, 'stop');
    assert.deepEqual(Object.keys(JSON.parse(text) as object), ['place', 'people']);
  });

  test('a caption is searched for, and answers are scored', async () => {
    const video = await randomVideo('search', 8);
    const { text, finish } = await answer(model, long('Describe the video.', video), { beams: 3, maxTokens: 40 });
    assert.ok(text !== '' && finish !== 'cancelled');
    const scores = await new ChoiceScorer(model, null).scores(long('Is there a dog?', video), ['Yes.', `No, ${longText(60, 1)}`]);
    assert.ok(scores.every(Number.isFinite));
  });

  test('questions in languages of many tokens a character are cut by tokens, too', async () => {
    const messages = [...Array.from({ length: 10 }, () => [say('user', '视频里发生了什么？'), say('assistant', '一个人在公园里骑自行车，旁边有一只狗。'.repeat(3))]).flat(), say('user', 'เกิดอะไรขึ้นในวิดีโอ')];
    const { usage } = await answer(model, messages, { maxTokens: 100 });
    assert.ok(usage.prompt_tokens <= CONTEXT - 100 && usage.prompt_tokens >= CONTEXT / 4, `${usage.prompt_tokens} tokens`);
  });
});
