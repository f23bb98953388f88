import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FastifyBaseLogger } from 'fastify';

/** Lines of a child's own output that are kept for the log when it fails. */
const outputLines = 40;

/** Starts one of the programs beside this file with a message channel. What it prints goes to the log, not to the terminal. */
export function startChild(program: 'encode-process' | 'probe-process', log: FastifyBaseLogger): ChildProcess {
  const child = fork(fileURLToPath(new URL(`./${program}.js`, import.meta.url)), {
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // Flags of the server itself, a test runner's above all, are not meant for its children.
    execArgv: ['--enable-source-maps'],
  });
  let seen = 0;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      for (const line of text.split('\n')) {
        if (line !== '' && seen++ < outputLines) log.debug({ program, pid: child.pid, line: line.slice(0, 500) }, 'child output');
      }
    });
  }
  return child;
}

/** Resolves when the process has ended; kills it after `grace_s` seconds. */
export async function endChild(child: ChildProcess, grace_s: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const timer = setTimeout(() => child.kill('SIGKILL'), grace_s * 1000);
  await ended;
  clearTimeout(timer);
}
