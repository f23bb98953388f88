/** The decoder process as the program that uses it sees it. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Replies, ReplyMessage, Request, RequestMessage } from './decoder-protocol.js';
import { damaged, FrameSourceError } from './error.js';

/** Megabytes of JavaScript memory the decoder process may use: the index of a day of video takes a tenth of it. */
const MAX_HEAP_MB = 1024;

/** Seconds a process without a file is kept. */
const SPARE_S = 30;

interface Waiting {
  resolve(value: Replies[keyof Replies]): void;
  reject(error: Error): void;
}

/** A process that reads one file at a time. */
export class DecoderProcess {
  /** A process whose file was read without trouble, kept for the next file: a new one takes a third of a second. */
  private static spare: DecoderProcess | undefined;

  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, Waiting>();
  private requests = 0;
  /** Why there are no more answers. */
  private ended: FrameSourceError | undefined;
  private spareTimer: NodeJS.Timeout | undefined;

  private constructor(private name: string) {
    this.child = fork(fileURLToPath(new URL('./decoder-process.node.js', import.meta.url)), [], {
      execArgv: [`--max-old-space-size=${MAX_HEAP_MB}`],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.child.on('message', (message) => this.receive(message as ReplyMessage));
    this.child.on('error', (error) => this.end(damaged(this.name, error)));
    this.child.on('exit', (code, signal) => this.end(damaged(this.name, new Error(`the decoder stopped with ${signal ?? `code ${String(code)}`}`))));
    this.rest();
  }

  /** A process that reads no file. @param name What messages call the file it will read. */
  static take(name: string): DecoderProcess {
    const spare = DecoderProcess.spare;
    DecoderProcess.spare = undefined;
    if (spare === undefined || spare.ended !== undefined) return new DecoderProcess(name);
    clearTimeout(spare.spareTimer);
    spare.name = name;
    return spare;
  }

  /** @throws FrameSourceError what the decoder says, or that it has ended. */
  call<R extends Request>(request: R): Promise<Replies[R['call']]> {
    if (this.ended !== undefined) return Promise.reject(this.ended);
    const id = this.requests++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      this.child.ref();
      this.child.channel?.ref();
      const message: RequestMessage = { id, request };
      this.child.send(message, (error) => {
        if (error !== null) this.end(damaged(this.name, error));
      });
    });
  }

  /** The file is no longer needed. Whoever still waits for something of it gets `reason`. */
  giveBack(reason: FrameSourceError): void {
    if (this.waiting.size > 0 || this.ended !== undefined || DecoderProcess.spare !== undefined) return this.end(reason);
    DecoderProcess.spare = this;
    this.spareTimer = setTimeout(() => this.end(), SPARE_S * 1000).unref();
    this.call({ call: 'close' }).catch(() => this.end());
  }

  /** Ends the process; whoever waits for it gets `reason`. */
  end(reason: FrameSourceError = damaged(this.name, new Error('the decoder was stopped'))): void {
    this.ended ??= reason;
    for (const { reject } of this.waiting.values()) reject(this.ended);
    this.waiting.clear();
    this.rest();
    this.child.kill('SIGKILL');
  }

  private receive({ id, value, failure }: ReplyMessage): void {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (failure === undefined) waiting?.resolve(value ?? null);
    else waiting?.reject(failure.code === null ? new Error(failure.message) : new FrameSourceError(failure.code, failure.message));
    this.rest();
  }

  /** A decoder that nobody waits for must not keep the program running. */
  private rest(): void {
    if (this.waiting.size > 0) return;
    this.child.unref();
    this.child.channel?.unref();
  }
}
