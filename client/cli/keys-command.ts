import path from 'node:path';
import { Command, Option } from 'commander';
import type { ApiKey } from '../../server/index.js';
import { fields } from '../../server/settings.js';
import { wholeNumber } from './arguments.js';
import { oneLine, UserError } from './failure.js';
import { addConfigOption, gatherSettings, optionOf } from './serve-command.js';

interface KeysOptions {
  readonly config?: string;
  readonly data?: string;
  readonly requestsPerMinute?: number;
  readonly concurrent?: number;
  readonly operator?: boolean;
}

/** API keys of a data folder. A server that runs on it hears of changes within a second. */
export function keysCommand(): Command {
  const keys = new Command('keys').description('API keys: who may use a server. Without any, a server listens on this machine only.');
  const most = wholeNumber(1, 1_000_000);
  const add = new Command('add')
    .description('Make a key and print it. It is kept as a hash: it cannot be shown again.')
    .argument('<name>', 'whose key it is')
    .addOption(new Option('--requests-per-minute <n>', "requests it may make a minute (default: the server's limit)").argParser(most))
    .addOption(new Option('--concurrent <n>', "answers it may have waiting or running (default: the server's limit)").argParser(most))
    .option('--operator', "it sees, and may remove, other keys' videos, files and conversations too")
    .action(async (name: string, options: KeysOptions) => {
      const { requestsPerMinute = null, concurrent = null, operator = false } = options;
      const { key, secret } = await (await keyFile(options)).add({ name, requestsPerMinute, concurrent, operator });
      process.stderr.write(`Key ${key.id} for ${oneLine(name)}; write it down, it is not shown again:\n`);
      process.stdout.write(`${secret}\n`);
    });
  const list = new Command('list').description('List the keys.').action(async (options: KeysOptions) => {
    for (const key of await (await keyFile(options)).list()) process.stdout.write(`${line(key)}\n`);
  });
  const remove = new Command('remove')
    .description('Remove a key; who uses it is refused within a second.')
    .argument('<key>', 'its id, or its name')
    .action(async (wanted: string, options: KeysOptions) => {
      const removed = await (await keyFile(options)).remove(wanted);
      if (removed.length === 0) throw new UserError(`There is no key "${oneLine(wanted)}". "latentchat keys list" lists them.`);
      for (const key of removed) process.stdout.write(`removed ${line(key)}\n`);
    });
  const data = fields.find((field) => field.path === 'data');
  for (const command of [add, list, remove]) {
    if (data) command.addOption(optionOf(data));
    keys.addCommand(addConfigOption(command));
  }
  return keys;
}

async function keyFile(options: KeysOptions) {
  const { KeyFile } = await import('../../server/index.js');
  return new KeyFile(path.resolve((await gatherSettings({ ...options })).data));
}

function line({ id, name, created_s, requestsPerMinute, concurrent, operator }: ApiKey): string {
  const limits = [operator ? 'operator' : '', requestsPerMinute === null ? '' : `${requestsPerMinute} requests a minute`, concurrent === null ? '' : `${concurrent} answers at once`];
  return [id, new Date(created_s * 1000).toISOString().slice(0, 10), oneLine(name), ...limits.filter((text) => text !== '')].join('  ');
}
