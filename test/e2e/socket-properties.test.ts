/**
 * Random sequences of events, right, wrong and out of turn, sent over sockets that close and come back. Whatever is sent: every response that
 * was created ends once, events are as documented, ids are unique, and the server goes on.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ClientEvent, ServerEvent } from '../../server/realtime/protocol.js';
import { DemoServer } from '../helpers/demo-server.js';
import { randomNumbers, type RandomNumbers } from '../helpers/random.js';
import { TestSocket } from '../helpers/realtime.js';
import { until } from '../helpers/eventually.js';

/** Sequences, and events in each. */
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
const EVENTS = 40;

let demo: DemoServer;

before(async () => {
  demo = await DemoServer.start({ threads: 1, logLevel: 'error' });
});
after(() => demo.stop());

/** What a run has heard, over all its sockets. */
class Heard {
  readonly events: ServerEvent[] = [];
  readonly created = new Set<string>();
  readonly done = new Map<string, string>();

  /** Takes in what a socket has heard. @throws AssertionError where it contradicts what was heard before */
  take(events: readonly ServerEvent[]): void {
    const ids = new Set(this.events.map(({ event_id }) => event_id));
    for (const event of events) {
      assert.ok(!ids.has(event.event_id), `the event id ${event.event_id} came twice`);
      ids.add(event.event_id);
      this.events.push(event);
      if (event.type === 'response.created') {
        assert.ok(!this.created.has(event.response.id), `${event.response.id} was created twice`);
        this.created.add(event.response.id);
      }
      if (event.type === 'response.done') {
        const { id, status } = event.response;
        assert.ok(this.created.has(id), `${id} was done and never created`);
        assert.ok(!this.done.has(id), `${id} was done twice`);
        assert.notEqual(status, 'in_progress');
        this.done.set(id, status);
      }
      if (event.type === 'response.output_text.delta') {
        assert.ok(this.created.has(event.response_id) && !this.done.has(event.response_id), 'text outside of its response');
      }
    }
  }
}

const choose = <T>(random: RandomNumbers, choices: readonly T[]): T => choices[random.below(choices.length)] as T;

/** An event that a client might send, right or wrong. */
function randomEvent(random: RandomNumbers, conversations: readonly string[], number: number): { event: unknown; asks: boolean } {
  const place = random.below(3) === 0 || conversations.length === 0 ? {} : { conversation: choose(random, conversations) };
  const text = (words: string): unknown => ({ type: 'message', role: 'user', content: [{ type: 'input_text', text: words }] });
  const video = { type: 'message', role: 'user', content: [{ type: 'input_video', video_id: demo.demo }, { type: 'input_text', text: 'What is it?' }] };
  const event_id = `client_${number}`;
  switch (random.below(12)) {
    case 0:
    case 1:
      return { event: { type: 'conversation.item.create', event_id, ...place, item: video }, asks: false };
    case 2:
      return { event: { type: 'conversation.item.create', event_id, ...place, item: text('And then?') }, asks: false };
    case 3:
    case 4:
    case 5:
      return { event: { type: 'response.create', event_id, ...place, response: { max_output_tokens: 1 + random.below(6) } }, asks: true };
    case 6:
      return { event: { type: 'response.cancel', event_id, ...place }, asks: false };
    case 7:
      return { event: { type: 'conversation.create', event_id }, asks: false };
    case 8:
      return { event: { type: 'session.update', event_id, session: { temperature: choose(random, [0, 1, 7, 'warm']) } }, asks: false };
    case 9:
      return { event: { type: 'conversation.retrieve', event_id, conversation: choose(random, ['nowhere', ...conversations]) }, asks: false };
    case 10:
      return { event: choose<unknown>(random, [null, 7, [], { type: 'response.stop', event_id }, { event_id }, { type: 'response.create', event_id, response: { max_output_tokens: -1 } }]), asks: false };
    default:
      return { event: { type: 'conversation.item.delete', event_id, ...place, item_id: 'item_none' }, asks: false };
  }
}

/** Whether a response.create, by the client's id of it, was answered: with a response, or with an error that names it. */
const answers = (events: readonly ServerEvent[], id: string): number => events.filter((event) => event.type === 'error' && event.error.event_id === id).length;

for (const seed of SEEDS) {
  test(`whatever is sent over a socket, every response ends once and the server goes on (seed ${seed})`, async () => {
    const random = randomNumbers(seed);
    const heard = new Heard();
    const conversations: string[] = [];
    let socket = await TestSocket.open(demo.process.url);
    const learn = (event: ServerEvent): void => {
      if (event.type === 'session.created' || event.type === 'conversation.created') conversations.push(event.conversation.id);
    };
    learn(await socket.next('session.created'));
    const asked: string[] = [];
    for (let number = 0; number < EVENTS; number++) {
      const { event, asks } = randomEvent(random, conversations, number);
      if (asks) asked.push(`client_${number}`);
      if (random.below(8) === 0) socket.sendRaw(choose(random, ['{', '', 'null', '\u0000', '{"type":']));
      socket.sendRaw(JSON.stringify(event));
      if (random.below(4) === 0) await new Promise((resolve) => setTimeout(resolve, random.below(60)));
      // A response whose socket closes is written to its end; nobody hears of it here, so all of them end first.
      if (random.below(12) === 0) {
        await settle(socket);
        heard.take(socket.events);
        await socket.close();
        socket = await TestSocket.open(demo.process.url, `?conversation=${choose(random, conversations)}`);
        learn(await socket.next('session.created'));
      }
    }
    await settle(socket);
    heard.take(socket.events);
    assert.ok(heard.created.size > 0, 'the sequence asks for something');
    assert.deepEqual([...heard.created].filter((id) => !heard.done.has(id)), [], 'every response ended');
    const refused = asked.filter((id) => answers(heard.events, id) > 0);
    for (const id of refused) assert.equal(answers(heard.events, id), 1, `${id} was refused once`);
    assert.equal(heard.created.size + refused.length, asked.length, 'every response.create was answered by a response or by an error');
    await socket.close();

    const fresh = await TestSocket.open(demo.process.url);
    assert.equal((await fresh.ask('What is happening?', demo.demo)).response.status, 'completed');
    await fresh.close();
  });
}

/** Waits until the server has answered everything that was sent, and every response has ended. */
async function settle(socket: TestSocket): Promise<void> {
  const mark = `mark_${socket.events.length}_${Math.floor(performance.now())}`;
  socket.send({ type: 'conversation.retrieve', event_id: mark, conversation: 'conv_nowhere' } as ClientEvent);
  await until(() => socket.events.some((event) => event.type === 'error' && event.error.event_id === mark), 'the server has read everything');
  const open = (): number => {
    const ids = new Set(socket.events.flatMap((event) => (event.type === 'response.created' ? [event.response.id] : [])));
    for (const event of socket.events) if (event.type === 'response.done') ids.delete(event.response.id);
    return ids.size;
  };
  await until(() => open() === 0, 'every response has ended');
}
