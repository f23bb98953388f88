/** The default pack's language model against transformers on the same weights, without the adapter. Fixtures: weights/recipe. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { argmax, ChatTemplate, LanguageModel, logProbability, TextTokenizer, type WeightKind } from '../../model/language/index.js';
import { openPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { fixture } from '../helpers/fixtures.js';

interface Greedy {
  readonly prompts: readonly { readonly messages: { role: 'user'; content: string }[]; readonly prompt_ids: number[]; readonly ids: number[]; readonly text: string }[];
}
interface Teacher {
  readonly ids: number[];
  readonly mean_loss: number;
  readonly top1: number[];
}
interface Tokenized {
  readonly texts: readonly { readonly text: string; readonly ids: number[]; readonly decoded: string }[];
}
interface Rendered {
  readonly renderings: readonly { readonly messages: { role: 'user'; content: string }[]; readonly add_generation_prompt: boolean; readonly text: string }[];
}

async function expected<T>(name: string): Promise<T> {
  return JSON.parse(await readFile(fixture(`language/${name}.json`), 'utf8')) as T;
}

const load = async (kind: WeightKind): Promise<LanguageModel> =>
  LanguageModel.load(await openPack(), nodeRuntime({ threads: 2 }), { kind, adapter: false });

/** Loss a token in nats and most likely next tokens, each token given all before it. */
async function teacherForced(model: LanguageModel, ids: readonly number[]): Promise<{ loss: number; top1: number[] }> {
  const { decoder } = model;
  const cache = decoder.newCache(ids.length);
  const top1: number[] = [];
  let loss = 0;
  for (let start = 0; start + 1 < ids.length; start += 100) {
    const chunk = ids.slice(start, Math.min(start + 100, ids.length - 1));
    const logits = await decoder.forward(decoder.embed(chunk), cache, chunk.length);
    for (const i of chunk.keys()) {
      const row = logits.subarray(i * decoder.config.vocab, (i + 1) * decoder.config.vocab);
      top1.push(argmax(row));
      loss -= logProbability(row, ids[start + i + 1] as number);
    }
  }
  return { loss: loss / top1.length, top1 };
}

test('text becomes the ids of the reference tokeniser, and ids its text', async () => {
  const tokenizer = new TextTokenizer(await (await openPack()).text('tokenizer.json'));
  for (const { text, ids, decoded } of (await expected<Tokenized>('tokenizer')).texts) {
    assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text));
    if (!ids.some((id) => tokenizer.isSpecial(id))) assert.equal(tokenizer.decode(ids), decoded);
  }
});

test('messages become the reference template\'s text', async () => {
  const template = new ChatTemplate(await (await openPack()).text('chat_template.jinja'));
  const { renderings } = await expected<Rendered>('chat-template');
  for (const { messages, text } of renderings.filter((rendering) => rendering.add_generation_prompt)) {
    assert.equal(template.render(messages), text);
  }
});

test('fp32: greedy text is the reference\'s, token for token', async () => {
  const model = await load('fp32');
  const { decoder, tokenizer, template } = model;
  for (const { messages, prompt_ids: prompt, ids, text } of (await expected<Greedy>('greedy')).prompts) {
    assert.deepEqual(tokenizer.encode(template.render(messages)), prompt);
    const cache = decoder.newCache(prompt.length + ids.length);
    let logits = await decoder.forward(decoder.embed(prompt), cache);
    const ours: number[] = [];
    for (const _ of ids) {
      const token = argmax(logits);
      ours.push(token);
      if (token === decoder.config.eos) break;
      logits = await decoder.forward(decoder.embed([token]), cache, 1, logits);
    }
    assert.deepEqual(ours, ids, text);
  }
  await model.release();
});

for (const kind of ['q4', 'q8'] as const) {
  test(`${kind}: within 0.03 of the reference's loss and 93% of its likeliest tokens on 2,000 tokens of prose`, async () => {
    const { ids, mean_loss: reference, top1 } = await expected<Teacher>('teacher-forcing');
    const model = await load(kind);
    const { loss, top1: ours } = await teacherForced(model, ids);
    const agreement = ours.filter((token, i) => token === top1[i]).length / top1.length;
    assert.equal(ours.length, 2000);
    assert.ok(Math.abs(loss - reference) <= 0.03, `loss ${loss}, reference ${reference}`);
    assert.ok(agreement >= 0.93, `agreement ${agreement}`);
    console.log(`${kind}: loss ${loss.toFixed(4)} (reference ${reference.toFixed(4)}), top-1 agreement ${(100 * agreement).toFixed(1)}%`);
    await model.release();
  });
}
