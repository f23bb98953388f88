import { fork, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { FastifyBaseLogger } from 'fastify';
import { boundary } from '../boundary.js';

/** Lines of a child's own output that are kept for the log when it fails. */
const outputLines = 40;
/** Looks at a child until it counts as silent: one look alone may come right after this process itself was held up. */
const looks = 4;
/** From 0 to 1000: when memory runs out, Linux ends the process with the most points. A child's work can be done again, the server's cannot. */
const outOfMemoryPoints = '500';

export interface ChildOptions<Message> {
  readonly program: 'clip-process' | 'encode-process' | 'probe-process';
  readonly log: FastifyBaseLogger;
  /** Seconds without a message after which the child is killed. */
  readonly silence_s: number;
  readonly onMessage: (message: Message) => void;
  /** The process has ended, and everything it sent was heard. */
  readonly onEnd: (how: ChildEnd) => void;
}

/** The exit code of a child, or the signal that ended it; `silent`: it gave no sign of life; null: it could not be started. */
export type ChildEnd = number | NodeJS.Signals | 'silent' | null;

/**
 * Starts one of the programs beside this file with a message channel. What it prints goes to the log, not to the terminal. A child that
 * hangs or was stopped gives no sign of life and is killed: its `onEnd` is called whatever happens, once.
 */
export function startChild<Message extends { readonly type: string }>(options: ChildOptions<Message>): ChildProcess {
  const { program, log, silence_s, onMessage, onEnd } = options;
  const child = fork(fileURLToPath(new URL(`./${program}.js`, import.meta.url)), {
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // Flags of the server itself, a test runner's above all, are not meant for its children.
    execArgv: ['--enable-source-maps'],
  });
  letGoFirst(child);
  let silent = 0;
  const watch = setInterval(() => {
    if (++silent <= looks) return;
    clearInterval(watch);
    log.error({ program, pid: child.pid, silence_s }, 'a child process gives no sign of life and is ended');
    child.kill('SIGKILL');
  }, (silence_s * 1000) / looks).unref();
  let ended = false;
  const end = boundary(log, 'the end of a child process', (how: ChildEnd) => {
    if (ended) return;
    ended = true;
    clearInterval(watch);
    onEnd(how);
  });
  child.on('message', boundary(log, 'a message of a child process', (message: Message) => {
    silent = 0;
    if (message.type !== 'alive') onMessage(message);
  }));
  child.on('error', (error) => {
    log.error({ err: error, program }, 'a child process could not be used');
    // One that could not even be started has no exit.
    if (child.pid === undefined) end(null);
  });
  child.on('exit', (code, signal) => {
    const how = silent > looks ? 'silent' : (code ?? signal);
    // On a busy machine the end of a process is often seen before its last messages are; its channel closes behind them.
    if (child.connected) child.once('disconnect', () => end(how));
    else end(how);
  });
  logOutput(child, program, log);
  return child;
}

function letGoFirst({ pid }: ChildProcess): void {
  if (process.platform !== 'linux' || pid === undefined) return;
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, outOfMemoryPoints);
  } catch {
    // A sandbox without /proc: the system then chooses by size alone.
  }
}

function logOutput(child: ChildProcess, program: string, log: FastifyBaseLogger): void {
  let seen = 0;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => {
      for (const line of text.split('\n')) {
        if (line !== '' && seen++ < outputLines) log.debug({ program, pid: child.pid, line: line.slice(0, 500) }, 'child output');
      }
    });
  }
}

/** Resolves when the process has ended; kills it after `grace_s` seconds. */
export async function endChild(child: ChildProcess, grace_s: number): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const timer = setTimeout(() => child.kill('SIGKILL'), grace_s * 1000);
  await ended;
  clearTimeout(timer);
}
