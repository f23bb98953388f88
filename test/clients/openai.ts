/** The npm package openai as its documentation has it used: chats, schemas of zod, responses, embeddings, files and batches. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type * as Package from 'openai';
import type * as ZodHelpers from 'openai/helpers/zod';
import { z } from 'zod';
import { baseURL, model, photo, video } from './site.js';

/** Another package whose own copy is tested; by default the project's. */
const from = process.env['LATENTCHAT_CLIENT_OPENAI_OF'];
const require = createRequire(from === undefined ? import.meta.url : createRequire(import.meta.url).resolve(from));
const load = (name: string): Promise<unknown> => import(pathToFileURL(require.resolve(name)).href);
const { default: OpenAI } = (await load('openai')) as typeof Package;
const { zodResponseFormat, zodTextFormat } = (await load('openai/helpers/zod')) as typeof ZodHelpers;

const client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 });
type Message = Package.OpenAI.ChatCompletionMessageParam;
/** The client's types do not know parts with videos. */
const about = (text: string): Message => ({
  role: 'user',
  content: [
    { type: 'video_url', video_url: { url: video } },
    { type: 'text', text },
  ] as never,
});

const Scene = z.object({
  animal: z.enum(['dog', 'rabbit', 'cat']),
  indoors: z.boolean(),
  count: z.number().int(),
  others: z.array(z.string()).max(2),
});

test('models: listed, and told by name', async () => {
  const models = await client.models.list();
  assert.deepEqual(
    models.data.map(({ id }) => id),
    [model],
  );
  assert.deepEqual(await client.models.retrieve(model), models.data[0]);
  await assert.rejects(
    client.models.retrieve('gpt-9'),
    (error) => error instanceof OpenAI.NotFoundError && error.code === 'model_not_found',
  );
});

test('a conversation goes on with the message that was answered, as it came', async () => {
  const messages: Message[] = [about('What do you see?')];
  for (const question of ['Which colour is it?', 'Is it day or night?', 'Thank you.']) {
    const completion = await client.chat.completions.create({ model, messages, max_completion_tokens: 12 });
    const [choice] = completion.choices;
    assert.ok(choice?.message.content);
    messages.push(choice.message, { role: 'user', content: question });
  }
  const stream = client.chat.completions.stream({ model, messages, max_completion_tokens: 12 });
  messages.push((await stream.finalChatCompletion()).choices[0]?.message as Message, {
    role: 'user',
    content: 'And now?',
  });
  assert.ok(
    (await client.chat.completions.create({ model, messages, max_completion_tokens: 12 })).choices[0]?.message.content,
  );
});

test('every field that changes nothing may be there, at once', async () => {
  const request = { model, messages: [about('What do you see?')], max_completion_tokens: 12 };
  const plain = await client.chat.completions.create(request);
  const full = await client.chat.completions.create({
    ...request,
    user: 'someone',
    metadata: { a: 'b' },
    store: false,
    service_tier: 'auto',
    frequency_penalty: 0,
    presence_penalty: 0,
    logprobs: false,
    top_logprobs: null,
    logit_bias: {},
    tools: [],
    tool_choice: 'none',
    parallel_tool_calls: true,
    reasoning_effort: 'low',
    verbosity: 'low',
    modalities: ['text'],
    prediction: null,
    audio: null,
    prompt_cache_key: 'x',
    safety_identifier: 'x',
    n: 1,
    seed: 1,
    stop: null,
    response_format: { type: 'text' },
    temperature: 0,
    top_p: 1,
  });
  assert.equal(full.choices[0]?.message.content, plain.choices[0]?.message.content);
});

test('chat.completions.parse gives an object of the zod schema, and its message can be sent back', async () => {
  const messages: Message[] = [about('Which animal is it?')];
  const parsed = await client.chat.completions.parse({
    model,
    messages,
    response_format: zodResponseFormat(Scene, 'scene'),
    max_completion_tokens: 120,
  });
  const [choice] = parsed.choices;
  assert.ok(choice);
  Scene.parse(choice.message.parsed);
  messages.push(choice.message, { role: 'user', content: 'Are you sure?' });
  assert.ok(
    (await client.chat.completions.create({ model, messages, max_completion_tokens: 8 })).choices[0]?.message.content,
  );
});

test('a photo, with its detail', async () => {
  const content = [
    { type: 'text' as const, text: 'Which colour is it?' },
    {
      type: 'image_url' as const,
      image_url: { url: `data:image/png;base64,${photo.toString('base64')}`, detail: 'low' as const },
    },
  ];
  assert.ok(
    (await client.chat.completions.create({ model, messages: [{ role: 'user', content }], max_completion_tokens: 6 }))
      .choices[0]?.message.content,
  );
});

test('responses: a text, a conversation with instructions, and a video', async () => {
  const hello = await client.responses.create({ model, input: 'Say hello.', max_output_tokens: 16 });
  assert.match(hello.output_text, /\w/);
  assert.deepEqual([hello.object, hello.error, hello.output[0]?.type], ['response', null, 'message']);
  assert.equal(
    hello.usage?.total_tokens,
    (hello.usage?.input_tokens as number) + (hello.usage?.output_tokens as number),
  );
  const input = [
    { role: 'user' as const, content: 'Say hello.' },
    ...(hello.output as Package.OpenAI.Responses.ResponseOutputMessage[]),
    {
      role: 'user' as const,
      content: [
        { type: 'input_video', video_url: video },
        { type: 'input_text', text: 'What do you see?' },
      ] as never,
    },
  ];
  const seen = await client.responses.create({
    model,
    instructions: 'Answer in one sentence.',
    input,
    max_output_tokens: 16,
    store: false,
    metadata: { a: 'b' },
    temperature: 0,
  });
  assert.match(seen.output_text, /\w/);
  const cut = await client.responses.create({
    model,
    input: 'Count from one to twenty in words.',
    max_output_tokens: 3,
  });
  assert.deepEqual(
    [cut.status, cut.incomplete_details?.reason, cut.usage?.output_tokens],
    ['incomplete', 'max_output_tokens', 3],
  );
});

test('responses: an image part, and an object of the zod schema', async () => {
  const input = [
    {
      role: 'user' as const,
      content: [
        {
          type: 'input_image' as const,
          image_url: `data:image/png;base64,${photo.toString('base64')}`,
          detail: 'auto' as const,
        },
        { type: 'input_text' as const, text: 'Which colour is it?' },
      ],
    },
  ];
  assert.match((await client.responses.create({ model, input, max_output_tokens: 6 })).output_text, /\w/);
  const parsed = await client.responses.parse({
    model,
    input: 'A rabbit sits in the grass.',
    text: { format: zodTextFormat(Scene, 'scene') },
    max_output_tokens: 120,
  });
  Scene.parse(parsed.output_parsed);
});

test('responses: a stream has the events of a whole answer, in order', async () => {
  const request = { model, input: 'Say hello.', max_output_tokens: 12 };
  const whole = await client.responses.create(request);
  const types: string[] = [];
  let text = '';
  for await (const event of await client.responses.create({ ...request, stream: true })) {
    assert.equal(event.sequence_number, types.length);
    types.push(event.type);
    if (event.type === 'response.output_text.delta') text += event.delta;
    if (event.type === 'response.completed' || event.type === 'response.incomplete')
      assert.equal(event.response.usage?.output_tokens, whole.usage?.output_tokens);
  }
  assert.equal(text, whole.output_text);
  const once = [...new Set(types)];
  assert.deepEqual(once.slice(0, -1), [
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.content_part.added',
    'response.output_text.delta',
    'response.output_text.done',
    'response.content_part.done',
    'response.output_item.done',
  ]);
  const final = await client.responses.stream(request).finalResponse();
  assert.equal(final.output_text, whole.output_text);
});

test('responses: what would be disobeyed is refused by its name', async () => {
  for (const [field, value] of Object.entries({
    previous_response_id: 'resp_1',
    background: true,
    tools: [{ type: 'web_search' }],
    conversation: 'conv_1',
    include: ['message.output_text.logprobs'],
  })) {
    await assert.rejects(client.responses.create({ model, input: 'Hi', [field]: value }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.deepEqual([error.code, error.param], ['unsupported_parameter', field], error.message);
      return true;
    });
  }
});

test('embeddings: texts and videos in one space, as numbers or in base64', async () => {
  // The client itself asks for base64.
  const { data, usage } = await client.embeddings.create({
    model,
    input: ['a rabbit in the grass', 'an aeroplane over the sea', video],
  });
  assert.deepEqual(
    data.map(({ index, object }) => [index, object]),
    [
      [0, 'embedding'],
      [1, 'embedding'],
      [2, 'embedding'],
    ],
  );
  const [rabbit = [], aeroplane = [], shown = []] = data.map(({ embedding }) => embedding);
  const cosine = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
  assert.ok(Math.abs(cosine(rabbit, rabbit) - 1) < 1e-3 && Math.abs(cosine(shown, shown) - 1) < 1e-3);
  assert.ok(cosine(rabbit, shown) > cosine(aeroplane, shown));
  assert.ok(usage.prompt_tokens > 5 && usage.total_tokens === usage.prompt_tokens);
  const float = await client.embeddings.create({ model, input: 'a rabbit in the grass', encoding_format: 'float' });
  assert.deepEqual(float.data[0]?.embedding.map(Math.fround), rabbit.map(Math.fround));
});

test('files and batches: a question is answered, and its answer read', async () => {
  const line = {
    custom_id: 'one',
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model, messages: [about('What do you see?')], max_tokens: 6, user: 'someone', logprobs: false },
  };
  const input = await client.files.create({
    file: await OpenAI.toFile(Buffer.from(`${JSON.stringify(line)}\n`), 'questions.jsonl'),
    purpose: 'batch',
  });
  assert.equal((await client.files.retrieve(input.id)).bytes, input.bytes);
  let batch = await client.batches.create({
    input_file_id: input.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  while (!['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    batch = await client.batches.retrieve(batch.id);
  }
  assert.equal(batch.request_counts?.completed, 1, JSON.stringify(batch));
  const [answer] = (await (await client.files.content(batch.output_file_id ?? '')).text())
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text) as { response: { body: Package.OpenAI.ChatCompletion } });
  assert.match(answer?.response.body.choices[0]?.message.content ?? '', /\w/);
  assert.equal((await client.files.delete(input.id)).deleted, true);
});
