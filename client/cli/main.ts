/** Runs the command line and sets the exit code. */
import { fileURLToPath } from 'node:url';
import { safeArguments } from './long-arguments.js';
import { runProgram } from './program.js';

// Whoever reads the output may stop early, as `head` does: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

const given = await safeArguments(fileURLToPath(import.meta.url));
if (given !== null) process.exitCode = await runProgram(given);
