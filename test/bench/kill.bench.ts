/**
 * kill -9 of a server at random moments during uploads, encodes and answers, after each of which everything it had acknowledged
 * must be there. `npm run bench -- kill [KILLS] [SEED] [--disk MB]`, by default 100 kills. With --disk all that lies on a disk of its own of so
 * many MB (a tmpfs, which root alone can mount) that is filled to its last byte now and then.
 */
import { parseArgs } from 'node:util';
import { killRun } from '../helpers/kill-run.js';
import { machine, printTable } from './table.js';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { disk: { type: 'string' } } });
const [kills = 100, seed = Date.now() % 1e6] = positionals.map(Number);
const where = values.disk === undefined ? '' : `, on a disk of ${values.disk} MB`;
console.log(`${machine()}; ${kills} kills, seed ${seed}${where}`);
const started = performance.now();
const report = await killRun({
  kills,
  seed,
  ...(values.disk === undefined ? {} : { diskBytes: Number(values.disk) * 1024 * 1024 }),
  onKill: (kill) => {
    if (kill % 10 === 0) console.log(`${kill} kills, ${((performance.now() - started) / 1000).toFixed(0)} s`);
  },
});
printTable([
  ['', ''],
  ['kills during an upload', String(report.during.upload)],
  ['kills during an encode', String(report.during.encode)],
  ['kills during an answer', String(report.during.answer)],
  ['kills within 0.3 s of a start', String(report.during.start)],
  ['uploads begun', String(report.uploads)],
  ['uploads acknowledged whole', String(report.videos)],
  ['videos deleted', String(report.deletions)],
  ['messages acknowledged', String(report.messages)],
  ['refused for a full disk', String(report.refusals)],
]);
console.log('Nothing that was acknowledged was lost, every video became ready, no file was left over.');
