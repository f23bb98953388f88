/** Runs the command line and sets the exit code: 0, 1 for a failure told in one line, 2 for wrong usage. */
import { CommanderError } from 'commander';
import { describeFailure } from './failure.js';
import { buildProgram } from './program.js';

const program = buildProgram();
try {
  await program.parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    // Before the verb or after it: both are fine.
    const debug = process.argv.includes('--debug');
    const stack = debug && error instanceof Error ? error.stack : undefined;
    process.stderr.write(`latentchat: ${stack ?? describeFailure(error)}\n`);
    process.exitCode = 1;
  }
}
