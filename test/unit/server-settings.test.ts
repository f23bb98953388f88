/** Settings from a file, the environment and flags: one schema, one order, and errors that name the place. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { completeSettings, environmentSource, fields, fileSource, mergeSettings, parseField, serverOptions, SettingsError, settingsTable } from '../../server/settings.js';
import { runCli } from '../helpers/cli.js';
import { TestFolder } from '../helpers/folder.js';

let folder: TestFolder;
before(async () => {
  folder = await TestFolder.make();
});
after(() => folder.remove());

test('without sources everything has its default', () => {
  const settings = mergeSettings([]);
  assert.deepEqual([settings.port, settings.host, settings.data, settings.corsOrigins, settings.limits], [7860, '127.0.0.1', 'data', [], {}]);
  assert.equal(completeSettings(settings).limits.answerTokens, 512);
  assert.equal(serverOptions(settings, '/pack').packDir, '/pack');
});

test('flags go before the environment, which goes before the file, limit by limit', () => {
  const file = fileSource('c.json', '{"port": 1, "host": "a", "data": "x", "limits": {"answerTokens": 9, "sockets": 2}}');
  const environment = environmentSource({ LATENTCHAT_SERVER_PORT: '2', LATENTCHAT_SERVER_HOST: 'b', LATENTCHAT_SERVER_LIMIT_SOCKETS: '3', LATENTCHAT_SERVER_CORS_ORIGINS: 'https://a.example, https://b.example', OTHER: 'x' });
  const settings = mergeSettings([file, environment, { name: 'flags', values: { port: 3 } }]);
  assert.deepEqual([settings.port, settings.host, settings.data], [3, 'b', 'x']);
  assert.deepEqual(settings.limits, { answerTokens: 9, sockets: 3 });
  assert.deepEqual(settings.corsOrigins, ['https://a.example', 'https://b.example']);
});

const wrong: readonly (readonly [string, () => unknown, RegExp])[] = [
  ['a file that is no JSON', () => fileSource('c.json', '{'), /^c\.json is not valid JSON/],
  ['a file that is a list', () => fileSource('c.json', '[]'), /^c\.json must be object/],
  ['an unknown setting', () => fileSource('c.json', '{"prot": 1}'), /^c\.json: there is no setting "prot"/],
  ['an unknown limit', () => fileSource('c.json', '{"limits": {"tokens": 1}}'), /there is no setting "limits\.tokens"/],
  ['a setting of the wrong kind', () => fileSource('c.json', '{"port": "80"}'), /^c\.json: "port" must be integer/],
  ['a limit below zero', () => fileSource('c.json', '{"limits": {"sockets": -1}}'), /^c\.json: "limits\.sockets" must be >= 0/],
  ['an unknown level', () => fileSource('c.json', '{"logLevel": "loud"}'), /"logLevel" must be one of fatal, error/],
  ['an origin with a path', () => fileSource('c.json', '{"corsOrigins": ["https://a.example/x"]}'), /"corsOrigins\.0" must match/],
  ['an unknown variable', () => environmentSource({ LATENTCHAT_SERVER_PROT: '1' }), /^There is no setting LATENTCHAT_SERVER_PROT/],
  ['a variable that is no number', () => environmentSource({ LATENTCHAT_SERVER_PORT: 'http' }), /^LATENTCHAT_SERVER_PORT: "port" must be/],
  ['an empty number', () => environmentSource({ LATENTCHAT_SERVER_PORT: '' }), /^LATENTCHAT_SERVER_PORT: "port" must be/],
];
for (const [name, read, message] of wrong) {
  test(`${name} is refused with a sentence that names it`, () => {
    assert.throws(read, (error) => error instanceof SettingsError && message.test(error.message));
  });
}

test('names of variables and flags are unique, and every setting has a description', () => {
  for (const kind of ['path', 'variable', 'flag'] as const) assert.equal(new Set(fields.map((field) => field[kind])).size, fields.length);
  for (const field of fields) assert.ok((field.schema.description ?? '').length > 10, field.path);
  const port = fields.find((field) => field.path === 'port');
  assert.ok(port);
  assert.equal(parseField(port, '80', '--port'), 80);
});

test('the page about configuration lists every setting as the schema has it', async () => {
  const file = fileURLToPath(new URL('../../../docs/configuration.md', import.meta.url));
  const page = await readFile(file, 'utf8');
  const lines = new Set(page.split('\n'));
  for (const line of settingsTable()) assert.ok(lines.has(line), `docs/configuration.md lacks the line: ${line}`);
  assert.equal(page.split('\n').filter((line) => line.startsWith('| `')).length, fields.length, 'it lists settings that do not exist');
});

test('--print-config shows what came together, and wrong flags and files are told in one line', async () => {
  const config = await folder.write('config.json', '{"port": 4, "limits": {"sockets": 5}}');
  const printed = await runCli(['serve', '--config', config, '--limit-answer-tokens', '64', '--cors-origins', 'https://a.example', '--print-config']);
  assert.equal(printed.code, 0, printed.stderr);
  const settings = JSON.parse(printed.stdout) as ReturnType<typeof mergeSettings>;
  assert.deepEqual([settings.port, settings.limits.sockets, settings.limits.answerTokens, settings.corsOrigins], [4, 5, 64, ['https://a.example']]);
  for (const [args, open] of [[[], false], [['--open'], true], [['--open', 'false'], false]] as const) {
    assert.equal((JSON.parse((await runCli(['serve', ...args, '--print-config'])).stdout) as typeof settings).open, open);
  }
  assert.equal((await runCli(['serve', '--open', 'perhaps', '--print-config'])).code, 2);
  const flag = await runCli(['serve', '--port', 'http', '--print-config']);
  assert.deepEqual([flag.code, flag.stdout], [2, '']);
  const file = await runCli(['serve', '--config', await folder.write('wrong.json', '{"prot": 1}')]);
  assert.equal(file.code, 1);
  assert.match(file.stderr, /^latentchat: .*wrong\.json: there is no setting "prot"/);
});

test('hosts to fetch from are names, addresses and ports, by https or http', () => {
  const field = fields.find(({ path: place }) => place === 'remoteHosts') as (typeof fields)[number];
  const hosts = 'example.com,*.example.com:8443,[2001:db8::1],[::1]:8443,http://example.com,https://*.example.com';
  assert.deepEqual(parseField(field, hosts, 'test'), hosts.split(','));
  for (const wrong of ['ftp://example.com', 'example.com/films', 'a@example.com', '2001:db8::1', '*.*.com', 'exam ple.com']) {
    assert.throws(() => parseField(field, wrong, 'test'), /remoteHosts/, wrong);
  }
});

test('keys are made, listed and removed by the command line, and only their hash is kept', async () => {
  const data = path.join(folder.path, 'with-keys');
  const added = await runCli(['keys', 'add', 'Ada', '--data', data, '--concurrent', '2']);
  assert.equal(added.code, 0, added.stderr);
  const secret = added.stdout.trim();
  assert.match(secret, /^lck_[\w-]{43}$/);
  const kept = await readFile(path.join(data, 'keys.json'), 'utf8');
  assert.ok(!kept.includes(secret) && !kept.includes(secret.slice(4)));
  const listed = await runCli(['keys', 'list', '--data', data]);
  assert.match(listed.stdout, /^key_[0-9a-f]{24} {2}\d{4}-\d\d-\d\d {2}Ada {2}2 answers at once\n$/);
  const removed = await runCli(['keys', 'remove', 'Ada', '--data', data]);
  assert.match(removed.stdout, /^removed key_/);
  await runCli(['keys', 'add', 'Grace', '--data', data, '--operator']);
  assert.match((await runCli(['keys', 'list', '--data', data])).stdout, / {2}Grace {2}operator\n$/);
  const again = await runCli(['keys', 'remove', 'Ada', '--data', data]);
  assert.deepEqual([again.code, again.stdout], [1, '']);
});
