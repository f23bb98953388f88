/** Long conversations and several clients at once, over real sockets, with the default model pack. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Static } from 'typebox';
import type { ChatCompletionSchema } from '../../server/api/schemas.js';
import { errorOf } from '../helpers/api.js';
import { DemoServer } from '../helpers/demo-server.js';
import { longText } from '../helpers/long-text.js';
import { TestSocket } from '../helpers/realtime.js';

/** Smaller than the default, so that prompts are read quickly; every turn of 400 tokens that is told is half of it nevertheless. */
const CONTEXT = 1024;
const TURNS = 40;
const ANSWER = 400;
/** A token each. */
const TOO_LONG = '7'.repeat(3000);

let server: DemoServer;
before(async () => {
  server = await DemoServer.start({ context: CONTEXT });
});
after(() => server.stop());

const complete = (body: object): Promise<Response> =>
  fetch(`${server.process.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
const video = (): object => ({ type: 'video_url', video_url: { url: `video://${server.demo}` } });

describe('forty turns of 400 tokens in one conversation', () => {
  test('are all answered over the socket', async () => {
    const socket = await TestSocket.open(server.process.url);
    for (let turn = 0; turn < TURNS; turn++) {
      const shown = turn === 0 ? [{ type: 'input_video' as const, video_id: server.demo }] : [];
      socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [...shown, { type: 'input_text', text: `What about number ${turn}?` }] } });
      socket.send({ type: 'response.create', response: { max_output_tokens: 2 } });
      const { response } = await socket.next('response.done', 120);
      assert.ok(response.status === 'completed' || response.status === 'incomplete', `turn ${turn}: ${JSON.stringify(response.status_details)}`);
      assert.ok((response.usage?.input_tokens ?? Infinity) < CONTEXT);
      socket.send({ type: 'conversation.item.create', item: { role: 'assistant', content: [{ type: 'output_text', text: longText(ANSWER, turn) }] } });
    }
    await socket.close();
  });

  test('are answered over chat completions', async () => {
    const messages: object[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      messages.push({ role: 'user', content: [...(turn === 0 ? [video()] : []), { type: 'text', text: `And number ${turn}?` }] });
      // The socket's answers each go on where the last one was; here a client may come back at any time.
      if (turn % 3 === 0) {
        const answer = await complete({ messages, max_tokens: 2 });
        assert.equal(answer.status, 200, `turn ${turn}: ${await answer.clone().text()}`);
        const { usage } = (await answer.json()) as Static<typeof ChatCompletionSchema>;
        assert.ok(usage.prompt_tokens < CONTEXT && usage.prompt_tokens > CONTEXT / 10);
      }
      messages.push({ role: 'assistant', content: longText(ANSWER, turn) });
    }
  });
});

describe('a conversation goes on', () => {
  test('after questions that got no answer, and one that was too long for any', async () => {
    const socket = await TestSocket.open(server.process.url);
    const item = (text: string): void => socket.send({ type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_text', text }] } });
    for (let i = 0; i < 5; i++) item(longText(400, i));
    item(TOO_LONG);
    socket.send({ type: 'response.create' });
    const failed = (await socket.next('response.done')).response.status_details;
    assert.ok(failed !== null && 'error' in failed && failed.error.code === 'context_too_long', JSON.stringify(failed));
    assert.match(failed.error.message, /newest message.*1024/);
    const { response } = await socket.ask('What is the capital of France?');
    assert.equal(response.status, 'completed');
    await socket.close();
  });

  test('where only the newest message is too long it is refused, naming the reason', async () => {
    const refused = await errorOf(await complete({ messages: [{ role: 'user', content: TOO_LONG }] }));
    assert.deepEqual([refused.status, refused.code], [400, 'context_too_long']);
  });
});

describe('what the model cannot answer', () => {
  const textOf = async (content: unknown): Promise<string> => {
    const { choices } = (await (await complete({ messages: [{ role: 'user', content }], max_tokens: 20 })).json()) as Static<typeof ChatCompletionSchema>;
    return choices[0]?.message.content ?? '';
  };

  test('a question in another language is told so, and a short English one is answered', async () => {
    assert.match(await textOf([video(), { type: 'text', text: 'Was passiert in diesem Video?' }]), /^I only understand English\./);
    assert.match(await textOf('视频里发生了什么？'), /English/);
    assert.doesNotMatch(await textOf([video(), { type: 'text', text: 'Color?' }]), /only understand/);
  });

  test('a time after the end of the video is told so', async () => {
    assert.match(await textOf([video(), { type: 'text', text: 'What happens at 9:30:00?' }]), /^The video ends at 5\.3 s: there is nothing at 9:30:00\.$/);
  });
});

test('ten long answers of one client leave room for another, who begins at once', async () => {
  const [greedy, other] = [await TestSocket.open(server.process.url), await TestSocket.open(server.process.url)];
  const conversations: string[] = [];
  for (let i = 0; i < 10; i++) {
    greedy.send({ type: 'conversation.create' });
    conversations.push((await greedy.next('conversation.created')).conversation.id);
  }
  for (const [i, conversation] of conversations.entries()) {
    greedy.send({ type: 'conversation.item.create', conversation, item: { role: 'user', content: [{ type: 'input_text', text: `Tell me a long story about number ${i}.` }] } });
    greedy.send({ type: 'response.create', conversation, response: { max_output_tokens: 120, temperature: 1, seed: i } });
  }
  // Those that found no place have been told theirs in line.
  await greedy.next('response.queued');
  const { response } = await other.ask('Name a colour.');
  assert.equal(response.status, 'completed');
  assert.ok(!other.events.some(({ type }) => type === 'response.queued'), 'it was never in line');
  assert.ok(greedy.events.filter(({ type }) => type === 'response.done').length < 10, 'while the other had more to come');
  for (let i = 0; i < 10; i++) await greedy.next('response.done', 120);
  await Promise.all([greedy.close(), other.close()]);
});
