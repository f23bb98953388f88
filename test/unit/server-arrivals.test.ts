/** Videos that come by address: which addresses are taken, and that nothing but a listed public host is ever asked. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { ApiError } from '../../server/errors.js';
import { dataUrlBytes } from '../../server/uploads/data-url.js';
import { fetchRemote, hostMatches, isPublicAddress, type RemoteNetwork } from '../../server/uploads/remote.js';
import { TestFolder } from '../helpers/folder.js';

let folder: TestFolder;
before(async () => {
  folder = await TestFolder.make();
});
after(() => folder.remove());

const code = (expected: string) => (error: unknown) => error instanceof ApiError && error.code === expected && error.param === 'url';

test('a data: address gives its bytes, in the plain and the URL-safe alphabet', () => {
  const bytes = Buffer.from([0xfb, 0xff, 0xfe, 1, 2]);
  assert.deepEqual(dataUrlBytes(`data:video/mp4;base64,${bytes.toString('base64')}`, 5, 'url'), bytes);
  assert.deepEqual(dataUrlBytes(`data:video/mp4;codecs=x;base64,${bytes.toString('base64url')}`, 5, 'url'), bytes);
});

test('a data: address may be written with line breaks, escapes, spaces, no padding, and parameters with commas', () => {
  const bytes = Buffer.from([0xfb, 0xff, 0xfe, 1, 2, 3, 0x25]);
  const plain = bytes.toString('base64');
  for (const url of [
    `data:video/mp4;base64,${plain.slice(0, 4)}\r\n${plain.slice(4)}\n`,
    `data:video/mp4;base64, ${plain.slice(0, 4)} ${plain.slice(4)}`,
    `data:video/mp4;base64,${encodeURIComponent(plain)}`,
    `data:video/mp4;base64,${plain.slice(0, 4)}%0D%0A${plain.slice(4)}`,
    `data:video/mp4;base64,${plain.replace(/=+$/, '')}`,
    `data:video/webm;codecs=vp8,opus;base64,${plain}`,
    `data:video/mp4;codecs="avc1.4d401e, mp4a.40.2";base64,${plain}`,
    `data:video/mp4; name=my%20film.mp4; base64,${plain}`,
    `data:;base64,${plain}`,
    `DATA:VIDEO/MP4;BASE64,${plain}`,
    `data:video/mp4,${[...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')}`,
    'data:video/mp4,%fb%FF%fe%01%02%03%',
  ]) assert.deepEqual(dataUrlBytes(url, 7, 'url'), bytes, url);
});

for (const [name, url, expected] of [
  ['with escapes above the limit', `data:,${'%41'.repeat(6)}`, 'upload_too_large'],
  ['with an escape of no character', 'data:;base64,%ZZab', 'invalid_data_url'],
  ['without base64', 'data:video/mp4,abc', 'invalid_data_url'],
  ['without a comma', 'data:video/mp4;base64', 'invalid_data_url'],
  ['with other characters', 'data:;base64,ab!d', 'invalid_data_url'],
  ['of a length no base64 has', 'data:;base64,abcde', 'invalid_data_url'],
  ['with its comma out of sight', `data:${'x'.repeat(400)};base64,abcd`, 'invalid_data_url'],
  ['of nothing', 'data:;base64,', 'empty_file'],
  ['above the limit', 'data:;base64,AAAAAAAA', 'upload_too_large'],
] as const) {
  test(`a data: address ${name} is refused with ${expected}`, () => {
    assert.throws(() => dataUrlBytes(url, 5, 'url'), code(expected));
  });
}

test('addresses of private, shared, loopback, link-local and tunnelling networks are not public', () => {
  const inside = [
    '0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '169.254.169.254', '172.31.255.255', '192.168.1.1', '198.18.0.1', '224.0.0.1', '255.255.255.255',
    '::', '::1', '::ffff:127.0.0.1', '::ffff:8.8.8.8', 'fc00::1', 'fe80::1', 'ff02::1', '64:ff9b::7f00:1', '2001::1', '2001:db8::1', '2002:7f00:1::', 'nonsense', '',
  ];
  for (const address of inside) assert.equal(isPublicAddress(address), false, address);
  for (const address of ['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450:4001::1']) assert.equal(isPublicAddress(address), true, address);
});

test('an entry of the host list means its name and port, or with a star every name below it', () => {
  const matches = (url: string, entry: string): boolean => hostMatches(new URL(url), entry);
  assert.ok(matches('https://Example.com/a', 'example.com'));
  assert.ok(matches('https://a.b.example.com/', '*.example.com'));
  for (const [url, entry] of [
    ['https://example.com:8080/', 'example.com:8080'], ['https://example.com/', 'example.com:443'], ['https://example.com:443/', 'https://example.com'],
    ['http://example.com:8080/', 'http://example.com:8080'], ['http://example.com/', 'http://example.com:80'], ['http://a.example.com/', 'http://*.example.com'],
    ['https://[2606:4700::1111]/', '[2606:4700:0:0::1111]'], ['https://[2606:4700::1111]:8443/', '[2606:4700::1111]:8443'], ['https://9.9.9.9/', '9.9.9.9'],
  ] as const) assert.ok(matches(url, entry), `${url} by ${entry}`);
  for (const [url, entry] of [
    ['https://example.com/', '*.example.com'], ['https://evilexample.com/', '*.example.com'], ['https://example.com.evil.org/', 'example.com'],
    ['https://example.com:8443/', 'example.com'], ['https://example.com/', 'example.com:8443'], ['https://sub.example.com/', 'example.com'],
    ['http://example.com/', 'example.com'], ['http://example.com:443/', 'example.com:443'], ['https://example.com/', 'http://example.com'], ['https://example.com/', 'example.com:80'],
  ] as const) assert.ok(!matches(url, entry), `${url} by ${entry}`);
});

/** A web server and a network on which its name resolves to it. */
async function host(context: TestContext, listener: RequestListener): Promise<{ url: (place: string) => URL; network: RemoteNetwork; lookups: string[]; options: (mostBytes?: number) => Parameters<typeof fetchRemote>[2] }> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const lookups: string[] = [];
  const lookup = async (name: string) => {
    lookups.push(name);
    return [{ address: '127.0.0.1', family: 4 }];
  };
  return {
    url: (place) => new URL(place, `http://films.test:${port}`),
    network: { lookup, mayAsk: () => true },
    lookups,
    options: (mostBytes = 1000) => ({ hosts: [`http://films.test:${port}`], mostBytes, param: 'url', signal: AbortSignal.timeout(5000), claim: { take: async () => undefined, release: () => undefined } }),
  };
}

test('a listed host is asked at the address its name was checked at, once, under its own name', async (context) => {
  let asked = '';
  const { url, network, lookups, options } = await host(context, (request, answer) => {
    asked = request.headers.host ?? '';
    answer.end('film');
  });
  const file = path.join(folder.path, 'fetched');
  await fetchRemote(url('/a.mp4'), file, options(), network);
  assert.equal(await readFile(file, 'utf8'), 'film');
  assert.deepEqual([lookups, asked], [['films.test'], url('/').host]);
});

test('a name that resolves to one private address among public ones is refused before anything is sent', async (context) => {
  let asked = 0;
  const { url, options } = await host(context, (_request, answer) => {
    asked++;
    answer.end();
  });
  const lookup = async () => [{ address: '8.8.8.8', family: 4 }, { address: '127.0.0.1', family: 4 }];
  await assert.rejects(fetchRemote(url('/'), path.join(folder.path, 'never'), options(), { lookup, mayAsk: isPublicAddress }), code('remote_url_forbidden'));
  assert.equal(asked, 0);
});

test('hosts that are not listed, and addresses with a password, are refused without a lookup', async (context) => {
  const { network, lookups, options, url } = await host(context, (_request, answer) => answer.end());
  const withPassword = url('/');
  withPassword.username = 'me';
  for (const refused of [new URL('http://other.test/'), withPassword]) {
    await assert.rejects(fetchRemote(refused, path.join(folder.path, 'never'), options(), network), code('remote_url_forbidden'));
  }
  assert.deepEqual(lookups, []);
});

const answers: readonly (readonly [string, RequestListener, string])[] = [
  ['a redirect', (_request, answer) => answer.writeHead(302, { location: 'http://169.254.169.254/' }).end(), 'remote_fetch_failed'],
  ['an error', (_request, answer) => answer.writeHead(404).end(), 'remote_fetch_failed'],
  ['a file announced above the limit', (_request, answer) => answer.writeHead(200, { 'content-length': 5000 }).end('x'.repeat(5000)), 'upload_too_large'],
  ['a file that turns out to be above the limit', (_request, answer) => void answer.write('x'.repeat(900), () => answer.end('x'.repeat(900))), 'upload_too_large'],
  ['a connection that breaks', (_request, answer) => void answer.writeHead(200, { 'content-length': 500 }).write('x', () => answer.destroy()), 'remote_fetch_failed'],
];
for (const [name, listener, expected] of answers) {
  test(`${name} is refused with ${expected}`, async (context) => {
    const { url, network, options } = await host(context, listener);
    await assert.rejects(fetchRemote(url('/'), path.join(folder.path, 'refused'), options(), network), code(expected));
  });
}
