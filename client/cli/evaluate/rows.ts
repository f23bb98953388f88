/** The rows of an evaluation: what the model is given of a video. Side by side they show what the latents keep of it. */
import { open } from 'node:fs/promises';
import { SNIFF_BYTES, sniffPhoto } from '../../../model/frames/sniff.js';
import { isContainer } from '../../../model/video/path-source.node.js';
import { type MediaDatum, SERVER_VIDEO } from './data.js';

export const ROWS = ['latents', 'raw', 'decoded', 'none'] as const;
export type Row = (typeof ROWS)[number];

const LABELS: Readonly<Record<string, string>> = {
  latents: 'latents, read back from .linr',
  raw: 'features of the original frames',
  decoded: 'features of the decoded frames',
  none: 'no video at all',
};

/** As tables print a row; one of a predictions file may have any name. */
export const rowLabel = (row: string): string => (Object.hasOwn(LABELS, row) ? (LABELS[row] ?? row) : row);

/** Row names with commas between. */
export function parseRows(value: string): Row[] | null {
  const names = value.split(',').map((name) => name.trim());
  const rows = ROWS.filter((row) => names.includes(row));
  return rows.length === new Set(names).size ? rows : null;
}

export type SourceKind = 'container' | 'video' | 'photo';

/** What a file is, by its bytes. One that cannot be read counts as a video and fails when it is opened. */
export async function kindOf(file: string): Promise<SourceKind> {
  const handle = await open(file, 'r').catch(() => null);
  if (handle === null) return 'video';
  try {
    if (await isContainer(file).catch(() => false)) return 'container';
    const head = Buffer.alloc(SNIFF_BYTES);
    const bytesRead = await handle.read(head, 0, head.length, 0).then((result) => result.bytesRead, () => 0);
    return sniffPhoto(head.subarray(0, bytesRead)) === null ? 'video' : 'photo';
  } finally {
    await handle.close();
  }
}

/**
 * The rows one source gets: those asked for, else all that are cheap. A photo would have to be trained for its decoded row, scenes are
 * never encoded, and a container whose original is not named has no original frames.
 */
export async function rowsOf({ file, original, scenes }: MediaDatum, asked: readonly Row[] | null): Promise<readonly Row[]> {
  if (asked !== null) return asked;
  if (SERVER_VIDEO.test(file)) return ['latents', 'none'];
  if (scenes !== undefined) return ROWS.filter((row) => row !== 'decoded');
  const kind = await kindOf(file);
  return ROWS.filter((row) => !(row === 'raw' && kind === 'container' && original === null) && !(row === 'decoded' && kind === 'photo'));
}
