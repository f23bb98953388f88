/** What the verbs that talk to a server share: which one, with which key, and which video. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { Option } from 'commander';
import type { LatentChat, Video } from '../sdk/index.js';
import { oneLine, UserError } from './failure.js';
import { interruptible } from './interrupt.js';
import { Progress } from './terminal.js';

export interface ServerOptions {
  readonly server?: string;
  readonly key?: string;
}

/** Where `latentchat serve` listens unless it is told otherwise. */
export const DEFAULT_SERVER = 'http://127.0.0.1:7860';

export const serverOption = (): Option => new Option('--server <url>', 'talk to this server instead of loading the model here').env('LATENTCHAT_URL');
export const keyOption = (): Option => new Option('--key <key>', 'API key, where the server asks for one').env('LATENTCHAT_KEY');

export async function connect({ server = DEFAULT_SERVER, key }: ServerOptions): Promise<LatentChat> {
  const { LatentChat } = await import('../sdk/index.js');
  try {
    return new LatentChat({ baseUrl: server, ...(key === undefined ? {} : { apiKey: key }) });
  } catch (error) {
    throw new UserError(`--server must be an address such as ${DEFAULT_SERVER}, got "${oneLine(server)}".`, { cause: error });
  }
}

/** A video of the server by its id, as `video://<id>`, or by its name where only one has it. */
export async function findVideo(client: LatentChat, wanted: string, signal?: AbortSignal): Promise<Video> {
  const videos = await client.videos.list(signal ? { signal } : {});
  const id = wanted.replace(/^video:\/\//, '');
  const found = videos.filter((video) => video.id === id);
  const named = found.length > 0 ? found : videos.filter((video) => video.name === wanted);
  const [video] = named;
  if (!video) throw new UserError(`The server has no video "${oneLine(wanted)}". "latentchat ls" lists those it has.`);
  if (named.length > 1) throw new UserError(`The server has ${named.length} videos named "${oneLine(wanted)}". Name one by its id; "latentchat ls" lists them.`);
  return video;
}

/** Something questions can be put to. */
export interface Asker {
  /** Streams the answer to standard output. Ctrl+C cuts it short and throws. */
  ask(question: string): Promise<void>;
  release(): Promise<void>;
}

/** Questions and answers about one video of a server; each answer knows the ones before. */
export class RemoteConversation implements Asker {
  #conversation: string | null = null;

  private constructor(
    private readonly client: LatentChat,
    private readonly video: Video,
    private readonly maxTokens: number,
  ) {}

  /** A file that exists here is uploaded first; anything else names a video of the server. */
  static async open(wanted: string, options: ServerOptions & { readonly maxTokens: number }, signal: AbortSignal): Promise<RemoteConversation> {
    const client = await connect(options);
    const isFile = await stat(wanted).then((facts) => facts.isFile(), () => false);
    const video = isFile ? await uploaded(client, wanted, signal) : await findVideo(client, wanted, signal);
    return new RemoteConversation(client, video, options.maxTokens);
  }

  async ask(question: string): Promise<void> {
    const interrupt = interruptible('The answer was cut short.');
    const place = this.#conversation === null ? {} : { conversation: this.#conversation };
    const answer = this.client.chat(this.video.id, question, { signal: interrupt.signal, maxTokens: this.maxTokens, ...place });
    let written = false;
    try {
      for (;;) {
        const next = await answer.next();
        if (next.done === true) {
          this.#conversation = next.value.conversation;
          break;
        }
        written = true;
        process.stdout.write(next.value);
      }
    } finally {
      if (written) process.stdout.write('\n');
      interrupt.dispose();
    }
  }

  async release(): Promise<void> {
    // The conversation stays on the server; there is nothing to give back here.
  }
}

async function uploaded(client: LatentChat, file: string, signal: AbortSignal): Promise<Video> {
  const progress = new Progress();
  const bytes = await readFile(file);
  const { id } = await client.upload(bytes, {
    name: path.basename(file),
    signal,
    onProgress: ({ sent, total }) => progress.update({ label: 'uploading', done: sent, total, unit: 'bytes' }),
  });
  const video = await client.videos.untilAskable(id, {
    signal,
    onProgress: ({ progress: state }) => {
      if (state && state.stage !== 'training' && state.total > 0) progress.update({ label: state.stage, done: state.done, total: state.total, unit: state.unit });
    },
  });
  progress.clear();
  return video;
}
