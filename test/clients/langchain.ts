/** LangChain for JavaScript with its OpenAI integration. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HumanMessage, SystemMessage } from '@langchain/core/messages';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { z } from 'zod';
import { baseURL, model as name, video } from './site.js';

const options = { model: name, apiKey: 'none', maxRetries: 0, maxTokens: 120, configuration: { baseURL } };
const chat = new ChatOpenAI(options);
/** Its own types for content know no videos. */
const about = (text: string): HumanMessage =>
  new HumanMessage({
    content: [
      { type: 'video_url', video_url: { url: video } },
      { type: 'text', text },
    ],
  });
const Scene = z.object({
  animal: z.enum(['dog', 'rabbit', 'cat']),
  count: z.number().int().min(0).max(9),
  said: z.string(),
  indoors: z.boolean(),
});

test('invoke, and a conversation that goes on with its messages', async () => {
  const first = await chat.invoke([new SystemMessage('Answer in one sentence.'), about('What do you see?')]);
  assert.match(first.text, /\w/);
  assert.match(JSON.stringify(first.usage_metadata), /"output_tokens":[1-9]/);
  assert.match(
    (await chat.invoke([about('What do you see?'), first, new HumanMessage('Which colour is it?')])).text,
    /\w/,
  );
});

test('stream gives the text in pieces', async () => {
  const pieces: string[] = [];
  for await (const chunk of await chat.stream([about('What do you see?')])) pieces.push(chunk.text);
  assert.equal(pieces.join(''), (await chat.invoke([about('What do you see?')])).text);
});

test('withStructuredOutput gives an object of the zod schema', async () => {
  Scene.parse(await chat.withStructuredOutput(Scene).invoke([about('Which animal is it, and how many are there?')]));
});

test('the Responses API, whole and streamed', async () => {
  const responses = new ChatOpenAI({ ...options, useResponsesApi: true });
  const whole = await responses.invoke('Say hello.');
  assert.match(whole.text, /\w/);
  let text = '';
  for await (const chunk of await responses.stream('Say hello.')) text += chunk.text;
  assert.equal(text, whole.text);
  assert.match(
    (await responses.invoke([new HumanMessage('Say hello.'), whole, new HumanMessage('Again.')])).text,
    /\w/,
  );
});

test('embeddings of a question and of documents', async () => {
  const embeddings = new OpenAIEmbeddings({ model: name, apiKey: 'none', maxRetries: 0, configuration: { baseURL } });
  const query = await embeddings.embedQuery('a rabbit in the grass');
  const [same, other] = await embeddings.embedDocuments(['a rabbit in the grass', 'an aeroplane']);
  assert.deepEqual(same, query);
  assert.notDeepEqual(other, query);
});
