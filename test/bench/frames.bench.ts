/** Files of every kind that people have: frames told, frames given, and what ffprobe counts where it is installed. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { openFrames } from '../../model/frames/open.node.js';
import { findFfmpeg } from '../../client/peers/ffmpeg-program.js';
import { TestFolder } from '../helpers/folder.js';
import { mediaKinds } from '../helpers/media-kinds.js';
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

/** Frames that ffprobe decodes of the file's largest track of pictures. */
async function probed(program: string, file: string): Promise<string> {
  const { stdout } = await promisify(execFile)(program, [
    '-v', 'quiet', '-count_frames', '-select_streams', 'V', '-show_entries', 'stream=nb_read_frames', '-of', 'csv=p=0', file,
  ]).catch(() => ({ stdout: '' }));
  const counts = stdout.split(/[^\d]+/).filter((count) => count !== '').map(Number);
  return counts.length === 0 ? '-' : String(Math.max(...counts));
}

const folder = await TestFolder.make();
const ffmpeg = await findFfmpeg();
const rows = [['file', 'put in', 'told', 'given', 'ffprobe', 'ms', '']];
let differing = 0;
try {
  for (const { name, frames, make } of mediaKinds) {
    const file = await folder.write('file', await make());
    const { told, given, ms, remark } = await read(file, name);
    const count = ffmpeg === null ? '' : await probed(ffmpeg.ffprobe, file);
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
