/** The realtime clients of the npm package openai, by ws and by the WebSocket of browsers, as far as text goes. They speak TLS only. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type * as Package from 'openai';
import type { OpenAIRealtimeEmitter } from 'openai/realtime/internal-base';
import type * as Browser from 'openai/realtime/websocket';
import type * as Ws from 'openai/realtime/ws';
import { baseURL, model, video } from './site.js';

const from = process.env['LATENTCHAT_CLIENT_OPENAI_OF'];
const require = createRequire(from === undefined ? import.meta.url : createRequire(import.meta.url).resolve(from));
const load = (name: string): Promise<unknown> => import(pathToFileURL(require.resolve(name)).href);
const { default: OpenAI } = (await load('openai')) as typeof Package;
const { OpenAIRealtimeWS } = (await load('openai/realtime/ws')) as typeof Ws;
const { OpenAIRealtimeWebSocket } = (await load('openai/realtime/websocket')) as typeof Browser;
const client = new OpenAI({ baseURL, apiKey: 'none', dangerouslyAllowBrowser: true });

type Event = Package.OpenAI.Realtime.RealtimeServerEvent;

/** Every event, in order, with a way to wait for one. */
class Heard {
  readonly events: Event[] = [];
  #wake: () => void = () => undefined;

  constructor(socket: OpenAIRealtimeEmitter) {
    socket.on('event', (event) => {
      this.events.push(event);
      this.#wake();
    });
    socket.on('error', (error) => assert.fail(`${error.message} ${JSON.stringify(error.error)}`));
  }

  async next<Type extends Event['type']>(type: Type, from = 0): Promise<Extract<Event, { type: Type }>> {
    for (;;) {
      const found = this.events.slice(from).find((event) => event.type === type);
      if (found) return found as Extract<Event, { type: Type }>;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

async function talk(socket: OpenAIRealtimeEmitter): Promise<void> {
  const heard = new Heard(socket);
  await heard.next('session.created');
  socket.send({
    type: 'session.update',
    session: {
      type: 'realtime',
      model,
      output_modalities: ['text'],
      instructions: 'Answer in one sentence.',
      tools: [],
      tool_choice: 'auto',
      tracing: null,
      max_output_tokens: 24,
    },
  });
  assert.equal((await heard.next('session.updated')).session.type, 'realtime');
  for (const question of ['What do you see?', 'Which colour is it?']) {
    const from = heard.events.length;
    const content = [
      { type: 'input_video', video },
      { type: 'input_text', text: question },
    ] as never;
    socket.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content } });
    socket.send({
      type: 'response.create',
      response: { output_modalities: ['text'], metadata: { a: 'b' }, conversation: 'auto' },
    });
    const { response } = await heard.next('response.done', from);
    const answer = heard.events.slice(from);
    const text = answer.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('');
    assert.match(text, /\w/);
    assert.equal((await heard.next('response.output_text.done', from)).text, text);
    assert.equal(response.output?.length, 1);
    const types = answer
      .map(({ type }) => type)
      .filter((type, index, all) => /^(response|conversation)/.test(type) && type !== all[index - 1]);
    assert.deepEqual(
      types.filter((type) => (type as string) !== 'response.queued'),
      [
        'conversation.item.added',
        'conversation.item.done',
        'response.created',
        'response.output_item.added',
        'conversation.item.added',
        'response.content_part.added',
        'response.output_text.delta',
        'response.output_text.done',
        'response.content_part.done',
        'response.output_item.done',
        'conversation.item.done',
        'response.done',
      ],
    );
  }
}

test('OpenAIRealtimeWS holds a conversation about a video', async () => {
  const socket = new OpenAIRealtimeWS({ model }, client);
  await talk(socket);
  socket.close();
});

test(
  'OpenAIRealtimeWebSocket, whose key is a subprotocol, does so too',
  { skip: typeof WebSocket === 'undefined' && 'this Node has no WebSocket' },
  async () => {
    const socket = new OpenAIRealtimeWebSocket({ model, dangerouslyAllowBrowser: true }, client);
    await talk(socket);
    assert.equal(socket.socket.protocol, 'realtime');
    socket.close();
  },
);
