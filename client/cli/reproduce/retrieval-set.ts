/** Clips and texts to search among: of videos as they are, of photos as made clips. */
import path from 'node:path';
import { heldFrames, type FrameSource } from '../../../model/frames/index.js';
import { openFrames } from '../../../model/frames/open.node.js';
import { seededRandom } from '../../../model/runtime/random.js';
import type { Moment } from '../../metrics/moments.js';
import { openPart } from '../../peers/clip.js';
import { fileToEncode, type ToEncode } from '../encode-once.js';
import { readCaptionData, type CaptionDatum } from '../evaluate/data.js';
import { makeClip, type CaptionedPhoto, type MadeClip } from '../evaluate/retrieval.js';
import { openScenes } from '../evaluate/scenes.js';
import { UserError } from '../failure.js';
import { readJsonLines, textField, type JsonLine } from '../json-lines.js';

export interface RetrievalClip extends ToEncode {
  readonly id: string;
  /** Each tells of the whole clip. */
  readonly texts: readonly string[];
  /** What it shows, as one of a few; null where that is not known. */
  readonly label: string | null;
  /** Parts of it, in seconds, with a text each. */
  readonly segments: readonly Segment[];
}

export interface Segment {
  readonly text: string;
  readonly span: Moment;
}

export interface RetrievalSet {
  readonly name: string;
  /** One of each line. */
  readonly clips: readonly RetrievalClip[];
  /** Clips with segments: those of the data, else made of two or three of its photos each. */
  readonly segmented: readonly RetrievalClip[];
}

export interface RetrievalSetOptions {
  readonly limit: number;
  /** Words that are classes where a line has none of its own. */
  readonly classes: readonly string[];
  /** Of a video, the first frames; null: all. */
  readonly frames: number | null;
}

/** Changes when made clips do. */
const SEED = 1;

/**
 * JSON lines `{"id","source","references":[...],"class"?,"segments"?:[{"start_s","end_s","text"}]}` (or `"scenes"`, see readScenes) or a `.tsv` of photos and
 * captions. A photo becomes a clip of two to six seconds in which a window pans and zooms over it.
 * @throws UserError naming the line and field that is wrong
 */
export async function readRetrievalSet(file: string, { limit, classes, frames }: RetrievalSetOptions): Promise<RetrievalSet> {
  const data = (await readCaptionData(file)).slice(0, limit);
  const lines = file.endsWith('.tsv') ? [] : await readJsonLines(file);
  const clips: RetrievalClip[] = [];
  const photos: CaptionedPhoto[] = [];
  for (const [i, datum] of data.entries()) {
    const line = lines[i] ?? {};
    const facts = {
      id: datum.id,
      texts: datum.references,
      label: given(line, 'class') ? textField(line, 'class', file) : labelOf(datum.references, classes),
      segments: given(line, 'segments') ? segmentsOf(line, file) : [],
    };
    const photo = datum.scenes === undefined && (await isPhoto(datum.file));
    if (photo) photos.push({ file: datum.file, captions: datum.references });
    clips.push({ ...(photo ? madeClip(datum.id, [photos.at(-1) as CaptionedPhoto]).source : await asTheyAre(datum, frames)), ...facts });
  }
  const segmented = clips.filter(({ segments }) => segments.length > 0);
  return { name: path.basename(file), clips, segmented: segmented.length > 0 ? segmented : await clipsOf(photos) };
}

/** Videos and scenes. */
async function asTheyAre({ id, file, scenes }: CaptionDatum, frames: number | null): Promise<ToEncode> {
  if (scenes !== undefined) return { name: id, bytes: null, identity: ['scenes', file], open: () => openScenes(scenes) };
  const source = await fileToEncode(file);
  return { ...source, identity: [...source.identity, frames], open: () => openPart(file, frames ?? undefined) };
}

async function isPhoto(file: string): Promise<boolean> {
  const source = await openFrames(file);
  await source.close();
  return source.info.kind === 'photo';
}

/** Photos as clips of two and three scenes in turn, each photo once. */
async function clipsOf(photos: readonly CaptionedPhoto[]): Promise<RetrievalClip[]> {
  const clips: RetrievalClip[] = [];
  for (let first = 0, count = 2; first + count <= photos.length; first += count, count = 5 - count) {
    const id = `made clip ${clips.length + 1}`;
    const { source, make } = madeClip(id, photos.slice(first, first + count));
    const { scenes } = await make();
    clips.push({ ...source, id, texts: [], label: null, segments: scenes.map(({ caption, span }) => ({ text: caption, span })) });
  }
  return clips;
}

function madeClip(id: string, photos: readonly CaptionedPhoto[]): { source: ToEncode; make: () => Promise<MadeClip> } {
  const identity = ['made', SEED, ...photos.map(({ file }) => file), ...photos.map(({ captions }) => captions)];
  const make = (): Promise<MadeClip> => makeClip(photos.length, (scene) => photos[scene] as CaptionedPhoto, seededRandom(`reproduce ${SEED} ${id}`));
  const open = async (): Promise<FrameSource> => {
    const { frames, duration_s } = await make();
    return heldFrames(frames, duration_s);
  };
  return { source: { name: path.basename(id).replace(/\W+/g, '-'), bytes: null, identity, open }, make };
}

/** The class that more than half of the texts name, where they name one of the classes only. */
export function labelOf(texts: readonly string[], classes: readonly string[]): string | null {
  const named = classes.filter((word) => texts.filter((text) => new RegExp(`\\b${word}(e?s)?\\b`, 'i').test(text)).length > texts.length / 2);
  return named.length === 1 ? (named[0] as string) : null;
}

const given = (line: JsonLine, field: string): boolean => line[field] !== undefined && line[field] !== null;

function segmentsOf(line: JsonLine, file: string): Segment[] {
  const { id, segments } = line;
  const wrong = (): UserError =>
    new UserError(`${file}: "segments" of the line with id ${JSON.stringify(id)} must be a list of {"start_s","end_s","text"} with the start before the end.`);
  if (!Array.isArray(segments) || segments.length === 0) throw wrong();
  return segments.map((segment: unknown): Segment => {
    const { start_s, end_s, text } = (typeof segment === 'object' && segment !== null ? segment : {}) as { start_s?: unknown; end_s?: unknown; text?: unknown };
    if (typeof start_s !== 'number' || typeof end_s !== 'number' || typeof text !== 'string' || text.trim() === '' || !(start_s >= 0 && start_s < end_s)) throw wrong();
    return { text, span: [start_s, end_s] };
  });
}
