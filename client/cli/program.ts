/** The command `latentchat` and its verbs. Each verb loads what it needs when it runs, so that --help answers at once. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command, CommanderError } from 'commander';
import { captionCommand } from './caption-command.js';
import { chatCommand } from './chat-command.js';
import { clipCommand } from './clip-command.js';
import { decodeCommand } from './decode-command.js';
import { encodeCommand } from './encode-command.js';
import { evaluateCommand } from './evaluate-command.js';
import { infoCommand } from './info-command.js';
import { keysCommand } from './keys-command.js';
import { exportCommand, lsCommand, rmCommand } from './library-commands.js';
import { describeFailure } from './failure.js';
import { mcpCommand } from './mcp-command.js';
import { packCommand } from './pack-command.js';
import { packageRoot } from './package-root.js';
import { reproduceCommand } from './reproduce-command.js';
import { searchCommand } from './search-command.js';
import { serveCommand } from './serve-command.js';
import { errorStream, print } from './surroundings.js';
import { trainCommand } from './train-command.js';

/** Throws CommanderError instead of ending the process. */
export function buildProgram(): Command {
  const { version } = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
  const program = new Command('latentchat')
    .description('Chat with videos through their compressed latents.')
    .version(version)
    .option('--debug', 'print a stack trace when something fails')
    .showHelpAfterError('(add --help for the options)');
  const verbs = [serveCommand(), keysCommand(), encodeCommand(), decodeCommand(), clipCommand(), infoCommand(), chatCommand(), searchCommand(), captionCommand(), mcpCommand(), evaluateCommand(), packCommand(), trainCommand(), reproduceCommand(), lsCommand(), rmCommand(), exportCommand()];
  for (const verb of verbs) program.addCommand(verb);
  for (const command of [program, ...verbs, ...verbs.flatMap((verb) => verb.commands)]) {
    command.exitOverride().configureOutput({ writeOut: print, writeErr: (text) => void errorStream().write(text) });
    // Commands that were made on their own have not inherited this.
    if (command !== program) command.showHelpAfterError('(add --help for the options)').option('--debug', 'print a stack trace when something fails');
  }
  return program;
}

/** Runs a command. @returns its exit code: 0, 1 for a failure told in one line, 2 for wrong usage */
export async function runProgram(given: readonly string[]): Promise<number> {
  try {
    await buildProgram().parseAsync(given, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    // Before the verb or after it: both are fine.
    const stack = given.includes('--debug') && error instanceof Error ? error.stack : undefined;
    errorStream().write(`latentchat: ${stack ?? describeFailure(error)}\n`);
    return 1;
  }
}
