import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { defaultPackFolder } from '../../model/pack/open.node.js';
import { completeSettings, environmentSource, fields, fileSource, mergeSettings, parseField, serverOptions, SettingsError, type Field, type Settings } from '../../server/settings.js';

export function serveCommand(): Command {
  const command = new Command('serve').description('Start the chat server with its page. Flags go before the environment, that before the file; docs/configuration.md lists all three.');
  for (const field of fields) command.addOption(optionOf(field));
  return addConfigOption(command)
    .option('--print-config', 'print the settings as they came together, and end')
    .action(async (options: ServeOptions) => {
      const settings = await gatherSettings(options);
      if (options.printConfig) process.stdout.write(`${JSON.stringify(completeSettings(settings), null, 2)}\n`);
      else await serve(settings);
    });
}

/** Values of flags by the attribute commander makes of each, and where the file is. */
interface ServeOptions {
  readonly config?: string;
  readonly printConfig?: boolean;
  readonly [attribute: string]: unknown;
}

export function addConfigOption(command: Command): Command {
  return command.option('--config <file>', 'JSON file with settings (also LATENTCHAT_CONFIG)');
}

/** The option of a setting. Limits are many: they are taken, but --help does not list them. */
export function optionOf(field: Field): Option {
  const { schema, flag, path: place } = field;
  const kind = (schema as { type?: unknown }).type;
  const value = kind === 'integer' || kind === 'number' ? 'n' : kind === 'array' ? 'a,b' : place;
  const shown = schema.default === undefined || Array.isArray(schema.default) ? '' : ` (default: ${JSON.stringify(schema.default)})`;
  // A flag alone says yes.
  const option = new Option(kind === 'boolean' ? `${flag} [true|false]` : `${flag} <${value.split('.').pop()}>`, `${schema.description ?? ''}${shown}`).argParser((text) => {
    try {
      return parseField(field, text, flag);
    } catch (error) {
      throw error instanceof SettingsError ? new InvalidArgumentError(error.message) : error;
    }
  });
  return place.startsWith('limits.') ? option.hideHelp() : option;
}

/** Flags, environment and file together. */
export async function gatherSettings(options: ServeOptions): Promise<Settings> {
  const flags: Record<string, unknown> = {};
  for (const field of fields) {
    const value = options[optionOf(field).attributeName()];
    if (value !== undefined) flags[field.path] = value;
  }
  const file = options.config ?? process.env['LATENTCHAT_CONFIG'];
  const fromFile = file === undefined ? [] : [fileSource(file, await readFile(file, 'utf8'))];
  return mergeSettings([...fromFile, environmentSource(process.env), { name: 'flags', values: flags }]);
}

async function serve(settings: Settings): Promise<void> {
  const { startServer } = await import('../../server/index.js');
  const { dataDir, ...options } = serverOptions(settings, defaultPackFolder());
  const folder = path.resolve(dataDir);
  const server = await startServer({ ...options, dataDir: folder });
  if (server.notice !== null) process.stderr.write(`${server.notice}\n`);
  process.stdout.write(`latentchat is at ${server.url} (Ctrl+C stops it; videos are kept in ${folder})\n`);
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
  // A second Ctrl+C ends the process in the usual way, should closing take too long.
  await server.close();
}
