/** `latentchat clip`: a part of a video as an MP4 file. */
import { createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { Command, Option } from 'commander';
import { MAX_DURATION_S } from '../../model/frames/limits.js';
import { checkOutput } from '../../model/video/output.node.js';
import { isContainer } from '../../model/video/path-source.node.js';
import { clockTime } from './arguments.js';
import { threadsOption } from './common-options.js';
import { UserError } from './failure.js';
import { interruptible } from './interrupt.js';
import { connect, findVideo, keyOption, serverOption, type ServerOptions } from './remote.js';
import { grouped, Progress } from './terminal.js';

interface ClipOptions extends ServerOptions {
  readonly from: number;
  readonly to?: number;
  readonly output: string;
  readonly threads: number;
}

export function clipCommand(): Command {
  return new Command('clip')
    .description('Cut a part of a video into an MP4 file, accurate to the frame and without sound. Of a .linr file the pictures are drawn from its latents.')
    .argument('<video>', 'video or container; with --server the id or name of a video there')
    .addOption(new Option('--from <time>', 'where it begins, such as 0:10, 1:02:05.5 or 12.5').argParser(clockTime).default(0, '0'))
    .addOption(new Option('--to <time>', 'where it ends (default: with the video)').argParser(clockTime))
    .requiredOption('-o, --output <file>', 'the MP4 file to write')
    .addOption(serverOption())
    .addOption(keyOption())
    .addOption(threadsOption())
    .action(clip);
}

async function clip(video: string, options: ClipOptions): Promise<void> {
  const { output, from, to = null } = options;
  if (!/\.mp4$/i.test(output)) throw new UserError(`${output}: clips are written as MP4; name a file that ends in .mp4.`);
  if (to !== null && to <= from) throw new UserError('--to must be after --from.');
  await checkOutput(output);
  const interrupt = interruptible('Nothing was kept.');
  const progress = new Progress();
  try {
    if (options.server === undefined) {
      const { cutClip } = await import('../../model/inr/clip.node.js');
      const kind = (await isContainer(video)) ? 'container' : 'video';
      const { frames, start_s, end_s, width, height } = await cutClip({
        file: video, name: video, kind, from_s: from, to_s: to, longest_s: MAX_DURATION_S, output, threads: options.threads, signal: interrupt.signal,
        onProgress: (done, total) => progress.update({ label: 'clip', done, total, unit: 'seconds' }),
      });
      progress.clear();
      process.stdout.write(`${output}: ${(end_s - start_s).toFixed(2)} s, ${frames} frames of ${width} x ${height}\n`);
    } else {
      await fetched(video, options, interrupt.signal);
      process.stdout.write(`${output}: ${grouped((await stat(output)).size)} bytes\n`);
    }
  } finally {
    progress.clear();
    interrupt.dispose();
  }
}

/** The clip as a server cuts it, written as it comes. */
async function fetched(wanted: string, options: ClipOptions, signal: AbortSignal): Promise<void> {
  const client = await connect(options);
  const { id } = await findVideo(client, wanted, signal);
  const { from, to, output } = options;
  const body = await client.clip(id, { from_s: from, ...(to === undefined ? {} : { to_s: to }), signal });
  const part = `${output}.${process.pid}.part`;
  try {
    // Node's own stream type and the DOM's differ in name only.
    await pipeline(Readable.fromWeb(body as unknown as ReadableStream), createWriteStream(part), { signal });
    await rename(part, output);
  } catch (error) {
    await rm(part, { force: true });
    signal.throwIfAborted();
    throw error;
  }
}
