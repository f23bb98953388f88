/** Files of every kind that people have: frames told, frames given, and what ffprobe counts where it is installed. */
import { openFrames } from '../../model/frames/open.node.js';
import { TestFolder } from '../helpers/folder.js';
import { mediaKinds } from '../helpers/media-kinds.js';
import { hasFfprobe, probedFrames } from './ffprobe.js';
import { machine, printTable } from './table.js';

interface Reading {
  readonly told: string;
  readonly given: string;
  readonly ms: number;
  readonly remark: string;
}

async function read(file: string, name: string): Promise<Reading> {
  const start = performance.now();
  try {
    const source = await openFrames(file, { name });
    let given = 0;
    for await (const frame of source.frames({ size: { width: 32, height: 32 } })) given += Number(frame.data.length > 0);
    await source.close();
    const { frames, width, height } = source.info;
    return { told: String(frames), given: String(given), ms: performance.now() - start, remark: [`${width} x ${height}`, ...source.warnings].join('; ') };
  } catch (error) {
    return { told: '-', given: '-', ms: performance.now() - start, remark: error instanceof Error ? error.message : String(error) };
  }
}

const folder = await TestFolder.make();
const judged = await hasFfprobe();
const rows = [['file', 'put in', 'told', 'given', 'ffprobe', 'ms', '']];
let differing = 0;
try {
  for (const { name, frames, make } of mediaKinds) {
    const file = await folder.write('file', await make());
    const { told, given, ms, remark } = await read(file, name);
    const count = judged ? await probedFrames(file) : '';
    const differs = told !== given || told === '-' || (frames !== null && told !== String(frames));
    differing += Number(differs);
    rows.push([name, frames === null ? '' : String(frames), told, given, count, ms.toFixed(0), `${differs ? 'WRONG ' : ''}${remark}`.slice(0, 100)]);
  }
} finally {
  await folder.remove();
}
printTable(rows);
console.log(`\n${mediaKinds.length} files, ${differing} whose numbers differ or that are not read. ${machine()}`);
process.exitCode = differing === 0 ? 0 : 1;
