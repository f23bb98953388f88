/**
 * kill -9 of a server at random moments during uploads, encodes and answers, after each of which everything it had acknowledged
 * must be there. `npm run bench -- kill [KILLS] [SEED]`, by default 100 kills.
 */
import { killRun } from '../helpers/kill-run.js';
import { machine, printTable } from './table.js';

const [kills = 100, seed = Date.now() % 1e6] = process.argv.slice(2).map(Number);
console.log(`${machine()}; ${kills} kills, seed ${seed}`);
const started = performance.now();
const report = await killRun({
  kills,
  seed,
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
]);
console.log('Nothing that was acknowledged was lost, every video became ready, no file was left over.');
