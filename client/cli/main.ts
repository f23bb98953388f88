/** Runs the command line and sets the exit code: 0, 1 for a failure told in one line, 2 for wrong usage. */
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { describeFailure } from './failure.js';
import { safeArguments } from './long-arguments.js';
import { buildProgram } from './program.js';

// Whoever reads the output may stop early, as `head` does: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const given = await safeArguments(fileURLToPath(import.meta.url));
if (given !== null) await run(given);

async function run(given: readonly string[]): Promise<void> {
  try {
    await buildProgram().parseAsync(given, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    // Before the verb or after it: both are fine.
    const debug = given.includes('--debug');
    const stack = debug && error instanceof Error ? error.stack : undefined;
    process.stderr.write(`latentchat: ${stack ?? describeFailure(error)}\n`);
    process.exitCode = 1;
  }
}
