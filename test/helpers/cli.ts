import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ModelOptions, ownModels } from '../../client/cli/models.js';
import { runProgram } from '../../client/cli/program.js';
import { within } from '../../client/cli/surroundings.js';
import type { Models } from '../../projector/library/models.js';

/** The compiled command line. */
export const cliMain = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../client/cli/main.js');

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  /** Given to standard input, which is empty otherwise. */
  readonly input?: string;
  /** Sends SIGINT once standard error holds this text. */
  readonly interruptAt?: string;
  /** Of standard output; latin1 keeps bytes. Default: utf8. */
  readonly encoding?: 'utf8' | 'latin1';
  /** Variables that take the place of those there are. */
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs the compiled command line as a process of its own and waits for its end. */
export function runCli(args: readonly string[], { input = '', interruptAt, encoding = 'utf8', env = {} }: CliOptions = {}): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [cliMain, ...args], { stdio: 'pipe', env: { ...withoutTestRunner(), ...env } });
    let stdout = '';
    let stderr = '';
    let interrupted = false;
    child.stdout.setEncoding(encoding).on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      if (interruptAt === undefined || interrupted || !stderr.includes(interruptAt)) return;
      interrupted = true;
      child.kill('SIGINT');
    });
    // A command that ends before it has read its input closes the pipe.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Models that several commands of one process use, each pack's opened once and released with `release`. */
export class SharedModels {
  readonly #opened = new Map<string, Promise<{ readonly models: Models; readonly release: () => Promise<void> }>>();

  async open(options: ModelOptions): Promise<Models> {
    const pack = options.pack ?? '';
    let opened = this.#opened.get(pack);
    if (!opened) {
      // One thread: commands' tests run two files at a time, and threads that wait for each other's core are far slower than one.
      opened = ownModels({ ...options, threads: 1, independent: true }).then((models) => {
        const release = models.release.bind(models);
        return { models: Object.assign(models, { release: () => Promise.resolve() }), release };
      });
      this.#opened.set(pack, opened);
    }
    return (await opened).models;
  }

  async release(): Promise<void> {
    for (const opened of this.#opened.values()) await (await opened).release();
  }
}

/** Runs a command as `runCli` does, in this process: for what needs no process of its own, whose start takes longer than most commands. */
export async function runHere(args: readonly string[], shared: SharedModels): Promise<CliResult> {
  const written = { out: '', err: '' };
  const stream = (name: keyof typeof written) => ({ write: (text: string) => void (written[name] += text) });
  const code = await within({ out: stream('out'), err: stream('err'), openModels: (options) => shared.open(options) }, () => runProgram(args));
  return { code, stdout: written.out, stderr: written.err };
}

/** The environment without what would make a child take part in this test run. */
export function withoutTestRunner(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, ...rest } = process.env;
  return rest;
}
