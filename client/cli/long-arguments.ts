/**
 * ONNX Runtime 1.30 crashes on Linux when it makes its first session in a process whose command line is longer than about 30,000
 * characters: a long question, or the paths of a few hundred photos. Such arguments are handed to a second process by message instead.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';

/** Well below what was seen to crash (32,000); 20,000 was seen to work. */
const SAFE_LENGTH = 16_000;
const BY_MESSAGE = 'LATENTCHAT_ARGUMENTS_BY_MESSAGE';

/**
 * The arguments after the program's name, or null where another process, started here, has taken them and ended; its exit code is then
 * this process's.
 */
export async function safeArguments(program: string): Promise<readonly string[] | null> {
  if (process.env[BY_MESSAGE] !== undefined && process.connected) return await receive();
  const given = process.argv.slice(2);
  const length = process.argv.reduce((sum, argument) => sum + Buffer.byteLength(argument) + 1, 0);
  if (length <= SAFE_LENGTH) return given;
  await pass(program, given);
  return null;
}

async function receive(): Promise<readonly string[]> {
  process.send?.('ready');
  const [given] = (await once(process, 'message')) as [string[]];
  Reflect.deleteProperty(process.env, BY_MESSAGE);
  process.disconnect();
  return given;
}

async function pass(program: string, given: readonly string[]): Promise<void> {
  const child = fork(program, [], { stdio: 'inherit', env: { ...process.env, [BY_MESSAGE]: '1' } });
  const forward = (signal: NodeJS.Signals): void => {
    // Ctrl+C on a terminal reaches both processes by itself.
    if (signal !== 'SIGINT' || process.stdin.isTTY !== true) child.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, forward);
  const ended = once(child, 'exit') as Promise<[number | null]>;
  child.once('message', () => child.send(given));
  const [code] = await ended;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, forward);
  process.exitCode = code ?? 1;
}
