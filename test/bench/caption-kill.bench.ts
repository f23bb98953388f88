/**
 * A caption job over a folder of videos, photos or containers, killed again and again at random moments and then finished, against one that nothing
 * disturbed: no line may be lost, doubled or other than there.
 * `npm run bench -- caption-kill FOLDER [KILLS] [SEED]`, by default 10 kills.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { seededRandom } from '../../model/runtime/random.js';
import { captionUnderKills } from '../helpers/caption-kills.js';
import { runCli } from '../helpers/cli.js';
import { TestFolder } from '../helpers/folder.js';
import { machine } from './table.js';

const [source, kills = '10', seed = '1'] = process.argv.slice(2);
if (source === undefined || source.startsWith('-')) {
  console.error('Name a folder of videos, photos or containers: npm run bench -- caption-kill FOLDER [KILLS] [SEED]');
  process.exit(2);
}

type Line = Readonly<Record<string, unknown>>;
const linesOf = async (file: string): Promise<Line[]> => (await readFile(file, 'utf8')).trimEnd().split('\n').map((line) => JSON.parse(line) as Line);
const timeless = ({ seconds: _, ...line }: Line): Line => line;

console.log(`${machine()}; ${kills} kills, seed ${seed}`);
const folder = await TestFolder.make();
try {
  const args = [source, '--per', 'every 2s', '--jobs', '4'];
  const started = performance.now();
  const killed = path.join(folder.path, 'killed.jsonl');
  const count = await captionUnderKills({
    args,
    out: killed,
    kills: Number(kills),
    mostLines: 8,
    most_ms: 500,
    random: seededRandom(seed),
    onKill: (kill, lines) => console.log(`kill ${kill} after ${((performance.now() - started) / 1000).toFixed(0)} s: ${lines} lines are there`),
  });
  const whole = path.join(folder.path, 'whole.jsonl');
  const { code, stderr } = await runCli(['caption', ...args, '--out', whole]);
  assert.equal(code, 0, stderr);
  const [interrupted, undisturbed] = [await linesOf(killed), await linesOf(whole)];
  assert.deepEqual(interrupted.map(timeless), undisturbed.map(timeless));
  assert.equal(new Set(interrupted.map(({ id }) => id)).size, interrupted.length);
  console.log(`killed ${count} times and finished: ${interrupted.length} lines, each once, in order, and those of the run that nothing disturbed.`);
} finally {
  await folder.remove();
}
