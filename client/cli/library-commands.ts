/** `ls`, `rm` and `export`: the videos of a server. */
import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import type { Video } from '../sdk/index.js';
import { oneLine, UserError } from './failure.js';
import { connect, DEFAULT_SERVER, findVideo, keyOption, serverOption, type ServerOptions } from './remote.js';
import { grouped } from './terminal.js';

function serverCommand(name: string, description: string): Command {
  const server = serverOption().default(DEFAULT_SERVER);
  server.description = 'the server to talk to';
  return new Command(name).description(description).addOption(server).addOption(keyOption());
}

export function lsCommand(): Command {
  return serverCommand('ls', 'List the videos of a server, newest first.')
    .option('--json', 'one JSON object a line, as the API gives it')
    .action(async (options: ServerOptions & { readonly json?: boolean }) => {
      const videos = await (await connect(options)).videos.list();
      for (const video of videos) process.stdout.write(`${options.json ? JSON.stringify(video) : line(video)}\n`);
    });
}

export function rmCommand(): Command {
  return serverCommand('rm', 'Remove videos from a server, with everything that belongs to them.')
    .argument('<video...>', 'ids or names')
    .action(async (wanted: readonly string[], options: ServerOptions) => {
      const client = await connect(options);
      // All are found before any is removed: a wrong name leaves everything as it is.
      const videos: Video[] = [];
      for (const one of wanted) videos.push(await findVideo(client, one));
      for (const video of videos) {
        await client.videos.delete(video.id);
        process.stdout.write(`removed ${video.id}  ${oneLine(video.name)}\n`);
      }
    });
}

export function exportCommand(): Command {
  return serverCommand('export', "Save a video's container: a .linr file that can be decoded and asked about anywhere.")
    .argument('<video>', 'id or name')
    .requiredOption('-o, --out <file>', 'where to write the .linr file; must not exist yet')
    .action(async (wanted: string, options: ServerOptions & { readonly out: string }) => {
      const client = await connect(options);
      const video = await findVideo(client, wanted);
      const bytes = await client.containerBytes(video.id);
      try {
        await writeFile(options.out, bytes, { flag: 'wx' });
      } catch (error) {
        if (error instanceof Error && (error as NodeJS.ErrnoException).code === 'EEXIST') throw new UserError(`${options.out} exists already. Name another file with -o.`);
        throw error;
      }
      const unfinished = video.container_stage === 'final' ? '' : '; it is still in training: export again later for sharper pictures';
      process.stderr.write(`${options.out}: ${grouped(bytes.length)} bytes${unfinished}\n`);
    });
}

function line({ id, name, state, askable, duration_s, container_bytes, error }: Video): string {
  const length = duration_s === null ? '-' : `${duration_s.toFixed(1)} s`;
  const size = container_bytes === null ? '-' : `${grouped(container_bytes)} bytes`;
  const standing = error ? `failed: ${error.code}` : askable && state !== 'ready' ? `${state}, can be asked about` : state;
  return [id, length.padStart(9), size.padStart(17), oneLine(name), `(${standing})`].join('  ');
}
