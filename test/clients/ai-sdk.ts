/** Vercel's AI SDK with its OpenAI-compatible provider. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embed, generateObject, generateText, Output, streamText, type ModelMessage } from 'ai';
import { z } from 'zod';
import { baseURL, model as name, photo, video } from './site.js';

/** Addresses of this server's videos are given to it as they are, not downloaded by the SDK. */
const provider = createOpenAICompatible({
  name: 'latentchat',
  baseURL,
  apiKey: 'none',
  supportsStructuredOutputs: true,
  includeUsage: true,
  supportedUrls: () => ({ 'video/*': [/^video:/] }),
});
const model = provider(name);
const about = (text: string): ModelMessage => ({
  role: 'user',
  content: [
    { type: 'file', mediaType: 'video/mp4', data: new URL(video) },
    { type: 'text', text },
  ],
});
const Scene = z.object({
  animal: z.enum(['dog', 'rabbit', 'cat']),
  count: z.number().int().min(0).max(9),
  said: z.string(),
  indoors: z.boolean(),
});

test('generateText, and a conversation that goes on with its messages', async () => {
  const first = await generateText({
    model,
    system: 'Answer in one sentence.',
    messages: [about('What do you see?')],
    maxOutputTokens: 16,
  });
  assert.match(first.text, /\w/);
  assert.equal(first.usage.totalTokens, (first.usage.inputTokens ?? 0) + (first.usage.outputTokens ?? 0));
  const messages: ModelMessage[] = [
    about('What do you see?'),
    ...first.response.messages,
    { role: 'user', content: 'Which colour is it?' },
  ];
  assert.match(
    (
      await generateText({
        model,
        messages,
        maxOutputTokens: 8,
        temperature: 0,
        seed: 1,
        stopSequences: ['never to be met'],
      })
    ).text,
    /\w/,
  );
});

test('streamText gives the same text in pieces, and how it ended', async () => {
  const request = { model, messages: [about('What do you see?')], maxOutputTokens: 12 };
  const whole = await generateText(request);
  const stream = streamText(request);
  const pieces: string[] = [];
  for await (const piece of stream.textStream) pieces.push(piece);
  assert.equal(pieces.join(''), whole.text);
  assert.deepEqual(
    [await stream.finishReason, (await stream.usage).outputTokens],
    [whole.finishReason, whole.usage.outputTokens],
  );
});

test('generateObject and Output.object give an object of the zod schema', async () => {
  const request = { model, messages: [about('Which animal is it, and how many are there?')], maxOutputTokens: 120 };
  Scene.parse((await generateObject({ ...request, schema: Scene })).object);
  Scene.parse((await generateText({ ...request, output: Output.object({ schema: Scene }) })).output);
});

test('a photo, and the embedding of a text', async () => {
  const content = [
    { type: 'file' as const, mediaType: 'image/png', data: photo },
    { type: 'text' as const, text: 'Which colour is it?' },
  ];
  assert.match((await generateText({ model, messages: [{ role: 'user', content }], maxOutputTokens: 6 })).text, /\w/);
  const { embedding } = await embed({ model: provider.embeddingModel(name), value: 'a rabbit in the grass' });
  assert.ok(embedding.length > 10 && Math.abs(Math.hypot(...embedding) - 1) < 1e-3);
});
