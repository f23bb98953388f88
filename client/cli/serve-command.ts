import path from 'node:path';
import { Command, Option } from 'commander';
import { PRESETS, type Preset } from '../../model/inr/plan.js';
import { positiveSeconds, wholeNumber } from './arguments.js';
import { packOption, threadsOption } from './common-options.js';
import { packageRoot } from './package-root.js';

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

interface ServeOptions {
  readonly port: number;
  readonly host: string;
  readonly data: string;
  readonly pack?: string;
  readonly threads: number;
  readonly preset?: Preset;
  readonly seconds?: number;
  readonly logLevel: (typeof LOG_LEVELS)[number];
}

export function serveCommand(): Command {
  return new Command('serve')
    .description('Start the chat server with its page.')
    .addOption(new Option('--port <n>', '0 takes any free port').argParser(wholeNumber(0, 65_535)).default(7860))
    .option('--host <address>', 'address to listen on; anything but a loopback address lets others use the server', '127.0.0.1')
    .option('--data <folder>', 'where videos and conversations are kept', 'data')
    .addOption(packOption())
    .addOption(threadsOption())
    .addOption(new Option('--preset <name>', 'how uploads are encoded').choices(PRESETS))
    .addOption(new Option('--seconds <s>', "time for encoding an upload (default: the preset's)").argParser(positiveSeconds))
    .addOption(new Option('--log-level <level>', 'what is logged to standard output').choices(LOG_LEVELS).default('warn'))
    .action(async (options: ServeOptions) => {
      const { startServer } = await import('../../server/index.js');
      const { port, host, threads, preset, seconds, logLevel } = options;
      const server = await startServer({
        port,
        host,
        dataDir: path.resolve(options.data),
        packDir: options.pack ?? path.join(packageRoot(), 'weights/default'),
        logLevel,
        threads,
        encode: { ...(preset === undefined ? {} : { preset }), ...(seconds === undefined ? {} : { seconds }) },
      });
      process.stdout.write(`latentchat is at ${server.url} (Ctrl+C stops it; videos are kept in ${path.resolve(options.data)})\n`);
      await new Promise<void>((resolve) => {
        process.once('SIGINT', () => resolve());
        process.once('SIGTERM', () => resolve());
      });
      // A second Ctrl+C ends the process in the usual way, should closing take too long.
      await server.close();
    });
}
