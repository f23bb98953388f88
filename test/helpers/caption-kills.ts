/** kill -9 of a caption job at random moments, again and again, until it has come to its end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { cliMain, withoutTestRunner } from './cli.js';

export interface CaptionKillOptions {
  /** Of `latentchat caption`, without --out. */
  readonly args: readonly string[];
  readonly out: string;
  /** After these the job is let go on; Infinity: killed until it is faster than its killer. */
  readonly kills: number;
  /** Lines it may write before it is killed, at most. */
  readonly mostLines: number;
  /** Milliseconds after the last of them, at most. */
  readonly most_ms: number;
  readonly random: () => number;
  readonly onKill?: (kill: number, lines: number) => void;
}

const linesIn = (file: string): Promise<number> => readFile(file, 'utf8').then((text) => text.split('\n').length - 1, () => 0);

/** @returns how often it was killed. @throws Error when it fails, or never ends */
export async function captionUnderKills({ args, out, kills, mostLines, most_ms, random, onKill }: CaptionKillOptions): Promise<number> {
  for (let killed = 0; killed < 1000; ) {
    const before = await linesIn(out);
    const child = spawn(process.execPath, [cliMain, 'caption', ...args, '--out', out], { stdio: ['ignore', 'ignore', 'pipe'], env: withoutTestRunner() });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const ended = once(child, 'exit') as Promise<[number | null]>;
    if (killed < kills) {
      const [lines, later_ms] = [before + Math.floor(random() * mostLines), random() * most_ms];
      let over = false;
      void ended.then(() => (over = true));
      // One in four is killed before its first line, perhaps while it loads.
      const early = random() < 0.25;
      while (!over && !early && (await linesIn(out)) <= lines) await wait(Math.max(5, most_ms / 20));
      await wait(later_ms);
      child.kill('SIGKILL');
    }
    const [code] = await ended;
    if (code === 0) return killed;
    if (code !== null) throw new Error(`the job ended with ${code}: ${stderr}`);
    killed++;
    onKill?.(killed, await linesIn(out));
  }
  throw new Error('the job never came to an end');
}
