import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultPackFolder } from '../../model/pack/open.node.js';
import type { ServerOptions } from '../../server/index.js';

/** A real server process over one data folder, which can be stopped, killed and started again. */
export class ServerProcess {
  readonly #options: Omit<ServerOptions, 'port'>;
  #child: ChildProcess | null = null;
  url = '';

  constructor(dataDir: string, options: Partial<Omit<ServerOptions, 'port'>> = {}) {
    const demoDir = path.join(dataDir, 'no-demos');
    this.#options = { dataDir, packDir: defaultPackFolder(), demoDir, logLevel: 'warn', encode: { preset: 'draft', seconds: 4 }, ...options };
  }

  /** Starts it, on the port it had before where there was one. */
  async start(): Promise<void> {
    const runner = fileURLToPath(new URL('./server-runner.js', import.meta.url));
    const child = fork(runner, [JSON.stringify({ ...this.#options, port: this.url === '' ? 0 : Number(new URL(this.url).port) })], { execArgv: ['--enable-source-maps'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child = child;
    const [url] = (await Promise.race([once(child, 'message'), once(child, 'exit').then(() => Promise.reject(new Error('the server ended before it listened')))])) as [string];
    this.url = url;
  }

  /** Ends it as an operator would. */
  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  /** Ends it as a power cut would: nothing is told, nothing is tidied. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** Process ids of the programs the server has started. Linux only. */
  children(): number[] {
    const parent = this.#child?.pid;
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => parentOf(pid) === parent);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
}

export function isRunning(pid: number): boolean {
  return parentOf(pid) !== null;
}

/** Niceness of each thread of a process. Linux only. */
export function nicenessOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[16]));
}

function parentOf(pid: number): number | null {
  try {
    // The second field, the name, may itself hold spaces and brackets. A zombie (Z) has ended already.
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
    return state === 'Z' ? null : Number(parent);
  } catch {
    return null;
  }
}
