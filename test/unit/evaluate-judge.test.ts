// The judge against a real HTTP server that speaks OpenAI's chat completions.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { judgeOf, verdictIn } from '../../client/cli/evaluate/judge.js';
import { completeChat } from '../../client/cli/openai-chat.js';
import { runCli } from '../helpers/cli.js';
import { TestFolder } from '../helpers/folder.js';

interface Asked {
  readonly url: string;
  readonly key: string | undefined;
  readonly body: { readonly model: string; readonly seed: number; readonly temperature: number; readonly messages: readonly { role: string; content: string }[] };
}

let folder: TestFolder;
let server: Server;
let url: string;
let asked: Asked[];
/** Says how the server answers the n-th request, from 0. */
let answers: (n: number, content: string) => { status?: number; headers?: Record<string, string>; body: unknown };
const said = (content: string): { body: unknown } => ({ body: { choices: [{ message: { role: 'assistant', content } }], usage: { completion_tokens: 1 } } });

before(async () => {
  folder = await TestFolder.make();
  server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    request.on('end', () => {
      const body = JSON.parse(text) as Asked['body'];
      asked.push({ url: request.url ?? '', key: request.headers.authorization, body });
      const { status = 200, headers = {}, body: answer } = answers(asked.length - 1, body.messages.at(-1)?.content ?? '');
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(answer));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
beforeEach(() => {
  asked = [];
});
after(async () => {
  server.close();
  await folder.remove();
});

const lines = (...objects: unknown[]): string => objects.map((object) => `${JSON.stringify(object)}\n`).join('');

describe('the judge', () => {
  test('is asked about every text with a pinned prompt and seed; verdicts stand apart from the scores and are kept', async () => {
    answers = (_, content) => said(content.includes('Answer: a hound') ? ' Correct.' : content.includes('Answer: perhaps') ? 'I cannot say' : 'incorrect');
    const data = await folder.write('q.jsonl', lines(...['1', '2', '3', '4'].map((id) => ({ id, source: 's', question: 'What runs?', answers: ['dog', 'puppy'] }))));
    const predictions = await folder.write('p.jsonl', lines({ id: 1, answer: 'a hound' }, { id: 2, answer: 'cat' }, { id: 3, answer: 'perhaps' }, { id: 4, answer: '' }));
    const report = path.join(folder.path, 'r.json');
    const args = ['evaluate', 'qa', data, '--predictions', predictions, '--report', report, '--judge-url', url, '--judge-model', 'judge-1'];
    const { code, stdout, stderr } = await runCli(args, { env: { LATENTCHAT_JUDGE_KEY: 'top-secret' } });
    assert.equal(code, 0, stderr);
    const [table, judged] = stdout.split('\n\n');
    assert.match(table ?? '', /predictions +4 +0\.0000/, 'the headline row is exact match, which a hound is not');
    assert.match(judged ?? '', /^Judged by judge-1, not part of the scores above:\n {2}predictions: 1 of 3 correct \(0\.3333, 95% .*\), 1 without a verdict\n$/);
    assert.deepEqual(asked.map(({ url: address, key, body }) => [address, key, body.model, body.seed, body.temperature]), Array(3).fill(['/v1/chat/completions', 'Bearer top-secret', 'judge-1', 1, 0]));
    assert.match(asked[0]?.body.messages[1]?.content ?? '', /Question: What runs\?\nAccepted answers:\n- dog\n- puppy\nAnswer: a hound/);
    const text = await readFile(report, 'utf8');
    const { judge } = JSON.parse(text) as { judge: { model: string; seed: number; instructions: string; rows: unknown[]; verdicts: { verdict: string | null; reply: string }[] } };
    assert.deepEqual(judge.verdicts.map(({ verdict, reply }) => [verdict, reply]), [['correct', ' Correct.'], ['incorrect', 'incorrect'], [null, 'I cannot say'], ['incorrect', '']]);
    assert.ok(judge.instructions.includes('one word') && !text.includes('top-secret'));
  });

  test('that is busy is asked again after the time it names; one that refuses becomes an error without the key', async () => {
    const request = { model: 'm', messages: [{ role: 'user', content: 'x' }], max_tokens: 4, temperature: 0, seed: 1 } as const;
    const service = { baseUrl: `${url}/`, key: 'top-secret' };
    answers = (n) => (n === 0 ? { status: 429, headers: { 'retry-after': '1' }, body: { error: { code: 'busy', message: 'later' } } } : said('ok'));
    const started = performance.now();
    assert.deepEqual(await completeChat(service, request, new AbortController().signal), { text: 'ok', tokens: 1 });
    assert.ok(performance.now() - started > 900);
    answers = () => ({ status: 401, body: { error: { code: 'invalid_api_key', message: 'no such key' } } });
    await assert.rejects(completeChat(service, request, new AbortController().signal), (error: unknown) => error instanceof Error && /401: no such key/.test(error.message) && !String(error.stack).includes('top-secret'));
    for (const body of [{}, { choices: [] }, { choices: [{ message: { content: 7 } }] }, [], 'text']) {
      answers = () => ({ body });
      await assert.rejects(completeChat(service, request, new AbortController().signal), /did not answer as OpenAI's/);
    }
    await assert.rejects(completeChat(service, request, AbortSignal.abort(new Error('enough'))), /enough/);
  });

  test('needs a whole address and a model', async () => {
    assert.throws(() => judgeOf('localhost:8000', 'm', undefined), /http or https/);
    assert.throws(() => judgeOf('http://user:secret@host/v1', 'm', undefined), /LATENTCHAT_JUDGE_KEY/);
    assert.match((await runCli(['evaluate', 'qa', 'x.jsonl', '--judge-url', url])).stderr, /both --judge-url and --judge-model/);
    assert.equal(judgeOf(url, 'm', '').key, null);
  });

  test('is understood by its first clear word', () => {
    const cases = [['Correct.', 'correct'], ['Verdict: INCORRECT', 'incorrect'], ['**incorrect** (not correct)', 'incorrect'], ['uncorrected', null], ['', null]] as const;
    for (const [reply, verdict] of cases) assert.equal(verdictIn(reply), verdict, reply);
  });
});
