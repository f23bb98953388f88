/** `latentchat mcp`: the Model Context Protocol on standard input and output. */
import { createWriteStream, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { Command, Option } from 'commander';
import { defaultPackFolder } from '../../model/pack/open.node.js';
import type { ErrorBody } from '../../server/index.js';
import type { ApiRequest, ClipPlace } from '../../server/mcp/http-backend.js';
import type { VideoTools } from '../../server/mcp/backend.js';
import { packOption, threadsOption } from './common-options.js';
import { freePlace } from './mcp/clip-files.js';
import { describeFailure, UserError } from './failure.js';
import { packageRoot } from './package-root.js';
import { keyOption, serverOption, type ServerOptions } from './remote.js';
import { expandInputs } from './sources.js';

interface McpOptions extends ServerOptions {
  readonly data?: string;
  readonly clips: string;
  readonly pack?: string;
  readonly threads: number;
}

/** Videos behind the tools, and how they are let go. */
interface Opened {
  readonly videos: VideoTools;
  close(): Promise<void>;
}

export function mcpCommand(): Command {
  return new Command('mcp')
    .description('Serve videos to a language model by the Model Context Protocol, on standard input and output.')
    .argument('[input...]', "videos, photos, containers, folders or patterns such as 'clips/**/*.mp4'")
    .addOption(new Option('--data <folder>', "the videos of a server's data folder, while no server runs there").conflicts('server'))
    .addOption(new Option('--clips <folder>', 'where clips are written that a model cuts').default('.', 'the current folder'))
    .addOption(serverOption())
    .addOption(keyOption())
    .addOption(packOption())
    .addOption(threadsOption())
    .addHelpText(
      'after',
      `
For a program that starts servers of the protocol: {"command": "npx", "args": ["latentchat", "mcp", "/home/me/clips"]}. A running server of
latentchat offers the same at /mcp over HTTP.`,
    )
    .action(mcp);
}

async function mcp(inputs: readonly string[], options: McpOptions): Promise<void> {
  const { StdioServerTransport } = await import('@modelcontextprotocol/sdk/server/stdio.js');
  const { mcpServer } = await import('../../server/mcp/server.js');
  const { version } = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
  const opened = await open(inputs, options);
  const server = mcpServer(opened.videos, version, describeFailure);
  try {
    const ended = new Promise<void>((resolve) => {
      server.onclose = () => resolve();
      // The transport does not watch for the end of its input, by which a client says that it has gone.
      for (const event of ['end', 'close'] as const) process.stdin.once(event, () => resolve());
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    });
    await server.connect(new StdioServerTransport());
    await ended;
  } finally {
    await server.close();
    await opened.close();
  }
}

/** @throws UserError unless exactly one kind of place is named */
async function open(inputs: readonly string[], options: McpOptions): Promise<Opened> {
  const { data, server } = options;
  if (inputs.length > 0) {
    if (data !== undefined || server !== undefined) throw new UserError('Name files, or a data folder with --data, or a server with --server: one of the three.');
    const [{ FileVideos }, files] = await Promise.all([import('./mcp/file-videos.js'), expandInputs(inputs)]);
    const videos = await FileVideos.open(files, options);
    return { videos, close: () => videos.close() };
  }
  if (server !== undefined) return overServer(server, options);
  if (data !== undefined) return inFolder(data, options);
  throw new UserError('Name videos or folders, a data folder with --data, or a server with --server.');
}

async function overServer(server: string, { key, clips }: McpOptions): Promise<Opened> {
  const [{ Http }, { HttpVideos }] = await Promise.all([import('../sdk/http.js'), import('../../server/mcp/http-backend.js')]);
  const { LatentChatError } = await import('../sdk/index.js');
  const http = new Http(server, (input, init) => fetch(input, init), key === undefined ? {} : { authorization: `Bearer ${key}` });
  const plainly = async (asked: Promise<Response>): Promise<Response> => {
    try {
      return await asked;
    } catch (error) {
      throw error instanceof LatentChatError ? new UserError(error.message, { cause: error }) : error;
    }
  };
  const request: ApiRequest = (method, place, body, signal) => plainly(http.request(place, { method, signal, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }));
  const placeClip: ClipPlace = async (place, name, signal) => {
    const { body } = await plainly(http.request(place, { signal }));
    const output = await freePlace(clips, name);
    // Node's own stream type and the DOM's differ in name only.
    await pipeline(Readable.fromWeb(body as unknown as ReadableStream), createWriteStream(output, { flags: 'wx' }), { signal });
    return output;
  };
  return { videos: new HttpVideos(request, placeClip), close: () => Promise.resolve() };
}

/** The server itself, in this process and without a port. */
async function inFolder(data: string, { pack, threads, key, clips }: McpOptions): Promise<Opened> {
  const [{ buildApp }, { HttpVideos }, { InsideApi }] = await Promise.all([
    import('../../server/index.js'),
    import('../../server/mcp/http-backend.js'),
    import('../../server/mcp/inside.js'),
  ]);
  // Standard output belongs to the protocol.
  const app = await buildApp({ dataDir: path.resolve(data), packDir: pack ?? defaultPackFolder(), threads, logLevel: 'silent' });
  const api = new InsideApi(app);
  await app.ready();
  const headers = { host: 'localhost', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) };
  const placeClip: ClipPlace = async (url, name, signal) => {
    const { statusCode, rawPayload, payload } = await app.inject({ url, headers, signal });
    if (statusCode !== 200) throw new UserError((JSON.parse(payload) as ErrorBody).error.message);
    const output = await freePlace(clips, name);
    await writeFile(output, rawPayload, { flag: 'wx' });
    return output;
  };
  return { videos: new HttpVideos(api.requests({ headers, ip: '127.0.0.1' }), placeClip), close: () => app.close() };
}
