import { lookup as systemLookup } from 'node:dns/promises';
import { createWriteStream } from 'node:fs';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { ApiError, storageProblem } from '../errors.js';
import { withinRoom, type Claim } from '../store/disk.js';
import { PRIVATE_MODE } from '../store/files.js';

export interface RemoteFetchOptions {
  /** Who may be asked; see AppOptions. */
  readonly hosts: readonly string[];
  readonly mostBytes: number;
  /** The field that errors name. */
  readonly param: string;
  readonly signal: AbortSignal;
  /** Room on the disk. */
  readonly claim: Claim;
}

/** How names become addresses, and which addresses may be asked. The defaults are the system's, and public ones. */
export interface RemoteNetwork {
  readonly lookup: (host: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;
  readonly mayAsk: (address: string) => boolean;
}

/** Fetches an address into a file. */
export type RemoteFetch = (url: URL, file: string, options: RemoteFetchOptions) => Promise<void>;

const publicNetwork: RemoteNetwork = { lookup: (host) => systemLookup(host, { all: true }), mayAsk: isPublicAddress };

/**
 * Fetches a video from a host of the list. The name is resolved once, every address it has must be public, and the
 * connection goes to the address that was checked: a name that resolves differently the second time gains nothing.
 * Redirects are not followed.
 *
 * @throws ApiError `remote_url_forbidden`, `remote_fetch_failed`, `upload_too_large`
 */
export async function fetchRemote(url: URL, file: string, options: RemoteFetchOptions, network = publicNetwork): Promise<void> {
  const { hosts, mostBytes, param, signal, claim } = options;
  if (url.username !== '' || url.password !== '' || !hosts.some((entry) => hostMatches(url, entry))) {
    throw new ApiError('remote_url_forbidden', { param, message: `This server does not fetch videos from "${url.origin}". Upload the file to /v1/uploads.` });
  }
  const address = await checkedAddress(url, network, param);
  const answer = await request(url, address, signal).catch((cause: unknown) => {
    throw new ApiError('remote_fetch_failed', { param, message: `There was no answer from "${url.host}" in time.`, cause });
  });
  try {
    const { statusCode = 0 } = answer;
    if (statusCode >= 300 && statusCode < 400) {
      throw new ApiError('remote_fetch_failed', { param, message: `"${url.host}" answered with a redirect, which is not followed. Name the final address.` });
    }
    if (statusCode !== 200) throw new ApiError('remote_fetch_failed', { param, message: `"${url.host}" answered with status ${statusCode}.` });
    let received = Number(answer.headers['content-length'] ?? 0);
    const check = (): void => {
      if (received > mostBytes) throw new ApiError('upload_too_large', { param, message: `The file is larger than ${mostBytes} bytes, which is the limit.` });
    };
    check();
    received = 0;
    await pipeline(
      answer,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of withinRoom(chunks, claim)) {
          received += chunk.length;
          check();
          yield chunk;
        }
      },
      createWriteStream(file, { mode: PRIVATE_MODE }),
      { signal },
    );
  } catch (error) {
    if (error instanceof ApiError || storageProblem(error) !== null) throw error;
    throw new ApiError('remote_fetch_failed', { param, message: `The answer of "${url.host}" broke off.`, cause: error });
  } finally {
    answer.destroy();
  }
}

/** True where an entry of the host list allows the address: its name or IP address, its port, or else the usual one, and https unless it says http. */
export function hostMatches(url: URL, entry: string): boolean {
  const [, scheme = 'https://', wildcard, rest] = /^(https?:\/\/)?(\*\.)?(.+)$/i.exec(entry) ?? [];
  if (!URL.canParse(`${scheme}${rest}`)) return false;
  // Read as an address, an entry has its letters, its usual port and its IPv6 address written as those of `url` are.
  const { protocol, port, hostname } = new URL(`${scheme}${rest}`);
  if (url.protocol !== protocol || url.port !== port) return false;
  return wildcard === undefined ? url.hostname === hostname : url.hostname.endsWith(`.${hostname}`);
}

async function checkedAddress(url: URL, { lookup, mayAsk }: RemoteNetwork, param: string): Promise<{ address: string; family: number }> {
  const name = url.hostname.replace(/^\[|\]$/g, '');
  const family = isIP(name);
  let found: readonly { readonly address: string; readonly family: number }[];
  try {
    found = family === 0 ? await lookup(name) : [{ address: name, family }];
  } catch (cause) {
    throw new ApiError('remote_fetch_failed', { param, message: `The name "${name}" could not be resolved.`, cause });
  }
  const [first] = found;
  if (!first || !found.every(({ address }) => mayAsk(address))) {
    throw new ApiError('remote_url_forbidden', { param, message: `"${name}" is not at a public address, so nothing is fetched from it.` });
  }
  return first;
}

function request(url: URL, pinned: { address: string; family: number }, signal: AbortSignal): Promise<IncomingMessage> {
  // The name stays in the Host header and in the certificate's check; only its resolution is replaced.
  const lookup: LookupFunction = (_host, options, done) => {
    if (options.all === true) done(null, [pinned]);
    else done(null, pinned.address, pinned.family);
  };
  const { get } = url.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    get(url, { lookup, signal, agent: false, headers: { accept: '*/*', 'accept-encoding': 'identity' } }, resolve).on('error', reject);
  });
}

const reserved = new BlockList();
// RFC 6890 and its successors: this network, private, shared, loopback, link-local, documentation, benchmarks, multicast.
for (const [net, bits] of [
  ['0.0.0.0', 8], ['10.0.0.0', 8], ['100.64.0.0', 10], ['127.0.0.0', 8], ['169.254.0.0', 16], ['172.16.0.0', 12], ['192.0.0.0', 24],
  ['192.0.2.0', 24], ['192.88.99.0', 24], ['192.168.0.0', 16], ['198.18.0.0', 15], ['198.51.100.0', 24], ['203.0.113.0', 24], ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  reserved.addSubnet(net, bits, 'ipv4');
}
// Of IPv6 only global unicast (2000::/3) is asked, without documentation and the tunnels that carry IPv4 addresses.
for (const [net, bits] of [['2001::', 23], ['2001:db8::', 32], ['2002::', 16], ['3fff::', 20]] as const) reserved.addSubnet(net, bits, 'ipv6');
const globalUnicast = new BlockList();
globalUnicast.addSubnet('2000::', 3, 'ipv6');

/** True for addresses of the public internet. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !reserved.check(address, 'ipv4');
    case 6:
      return globalUnicast.check(address, 'ipv6') && !reserved.check(address, 'ipv6');
    default:
      return false;
  }
}
