import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ApiError, errorTable, isErrorCode, toApiError } from '../../server/errors.js';
import { checkClientEvent, eventIdOf } from '../../server/realtime/events.js';

function thrownBy(work: () => unknown): ApiError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ApiError);
    return error;
  }
  assert.fail('nothing was thrown');
}

test('every code of the table makes an error of the one shape, with a sentence', () => {
  for (const code of Object.keys(errorTable).filter(isErrorCode)) {
    const { error } = new ApiError(code, { param: 'x' }).toBody();
    assert.deepEqual(Object.keys(error), ['code', 'message', 'type', 'param']);
    assert.equal(error.code, code);
    assert.match(error.message, /^[A-Z/].*[.]$/, code);
    assert.match(error.type, /^[a-z_]+_error$/, code);
    assert.ok(new ApiError(code).status >= 400 && new ApiError(code).status < 600);
  }
});

test('what is not known is told in one sentence that says nothing about the inside', () => {
  const error = toApiError(new TypeError("Cannot read properties of undefined (reading 'secret') at /srv/app.js"));
  assert.equal(error.code, 'internal_error');
  assert.doesNotMatch(JSON.stringify(error.toBody()), /secret|srv|stack/);
});

test('a full disk is recognised from Node, from SQLite and through causes', () => {
  const node = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  const sqlite = Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
  for (const thrown of [node, sqlite, new Error('write failed', { cause: node })]) assert.equal(toApiError(thrown).code, 'disk_full');
  assert.equal(toApiError(Object.assign(new Error('x'), { code: 'EROFS' })).code, 'disk_read_only');
});

test('an error that already is one stays as it is', () => {
  const error = new ApiError('video_not_found');
  assert.equal(toApiError(error), error);
});

const wrongEvents: readonly (readonly [string, unknown, string, string | null])[] = [
  ['null', null, 'invalid_request', null],
  ['a list', [], 'invalid_request', null],
  ['a number', 7, 'invalid_request', null],
  ['no type', { event_id: 'a' }, 'invalid_request', 'type'],
  ['a type that is no string', { type: 5 }, 'invalid_request', 'type'],
  ['an unknown type', { type: 'response.destroy' }, 'unknown_event', 'type'],
  ['a name of Object.prototype as type', { type: '__proto__' }, 'unknown_event', 'type'],
  ['a missing field', { type: 'conversation.item.create' }, 'invalid_request', 'item'],
  ['an unknown field', { type: 'response.create', voice: 'alloy' }, 'unsupported_parameter', 'voice'],
  ['an unknown field inside', { type: 'session.update', session: { colour: 'red' } }, 'unsupported_parameter', 'session.colour'],
  ['a wrong kind', { type: 'session.update', session: { temperature: 'hot' } }, 'invalid_request', 'session.temperature'],
  ['a number out of range', { type: 'session.update', session: { temperature: 3 } }, 'invalid_request', 'session.temperature'],
  [
    'a part with a wrong field, told by its own kind of part',
    { type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_text', text: 5 }] } },
    'invalid_request',
    'item.content[0].text',
  ],
  [
    'a part of unknown kind',
    { type: 'conversation.item.create', item: { role: 'user', content: [{ type: 'input_audio', audio: '' }] } },
    'invalid_request',
    'item.content[0]',
  ],
  ['a role of unknown kind', { type: 'conversation.item.create', item: { role: 'robot', content: [{ type: 'text', text: 'x' }] } }, 'invalid_request', 'item.role'],
  ['no parts', { type: 'conversation.item.create', item: { role: 'user', content: [] } }, 'invalid_request', 'item.content'],
];

for (const [name, event, code, param] of wrongEvents) {
  test(`a client event with ${name} is refused, naming the field`, () => {
    const error = thrownBy(() => checkClientEvent(event));
    assert.equal(error.code, code, error.message);
    if (param !== null) assert.ok(error.param?.startsWith(param), `${error.param}: ${error.message}`);
  });
}

test('valid client events pass unchanged', () => {
  const event = { type: 'conversation.item.create', event_id: 'e1', item: { role: 'user', content: [{ type: 'input_video', video_id: 'vid_1' }, { type: 'input_text', text: 'Hi' }] } };
  assert.equal(checkClientEvent(event), event);
  assert.equal(eventIdOf(event), 'e1');
  assert.equal(eventIdOf({ event_id: 5 }), null);
  assert.equal(eventIdOf('x'), null);
});

test('the page about errors lists every code of the server as the table has it, every code of the client, and no other', async () => {
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const lines = (await readFile(path.join(root, 'docs/errors.md'), 'utf8')).split('\n');
  const wanted = Object.entries(errorTable).map(([code, [status, type, message]]) => `| \`${code}\` | ${status} | \`${type}\` | ${message} |`);
  for (const line of wanted) assert.ok(lines.includes(line), `docs/errors.md lacks the line: ${line}`);
  const sdk = path.join(root, 'client/sdk');
  const sources = await Promise.all((await readdir(sdk)).map((name) => readFile(path.join(sdk, name), 'utf8')));
  const own = new Set(sources.flatMap((text) => [...text.matchAll(/\bcode: '(\w+)'/g)].map(([, code]) => code)));
  const listed = lines.flatMap((line) => /^\| `(\w+)` \| [^\d]/.exec(line)?.[1] ?? []);
  assert.deepEqual(listed.sort(), [...own].sort());
  assert.equal(lines.filter((line) => line.startsWith('| `')).length, wanted.length + listed.length);
});
