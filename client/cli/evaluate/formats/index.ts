/** Published data sets by name: their files, and the videos or photos in a folder. */
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { UserError } from '../../failure.js';
import type { CaptionDatum, MediaDatum, QuestionDatum } from '../data.js';
import { parseFlickr8k, parseMsrvtt, type NamedCaptions } from './captions.js';
import { MAX_FILE_BYTES } from './parse.js';
import { parseActivityNetQa, parseMsrvttQa, parseMsvdQa, parseNextQa, parseTgifFrameQa, type NamedQuestion } from './questions.js';

export interface FormatOptions {
  /** Folder of the videos or photos. Default: the first of `MEDIA_FOLDERS` beside the data file, else the data file's own. */
  readonly media?: string;
  /** Part of the set that is taken. Default: all. Only relevant for captions. */
  readonly split?: string;
}

export const CAPTION_FORMATS = ['flickr8k', 'msr-vtt'] as const;
export type CaptionFormat = (typeof CAPTION_FORMATS)[number];
export const QUESTION_FORMATS = ['msvd-qa', 'msrvtt-qa', 'activitynet-qa', 'tgif-qa', 'next-qa'] as const;
export type QuestionFormat = (typeof QUESTION_FORMATS)[number];

const MEDIA_FOLDERS = ['videos', 'images', 'Images', 'gifs', 'Flicker8k_Dataset', 'YouTubeClips', 'TrainValVideo', 'TestVideo'];
/** Files looked at in the media folder: the largest published set has 100,000. */
const MAX_MEDIA_FILES = 1_000_000;
const CONTAINER = '.linr';
const MEDIA = /\.(mp4|m4v|mov|mkv|webm|avi|gif|jpe?g|png|webp)$/i;

/** @throws UserError naming the file, and the line or entry, that is not as the format has it */
export async function readQuestionFormat(format: QuestionFormat, file: string, options: FormatOptions): Promise<QuestionDatum[]> {
  const media = await MediaFolder.open(file, options.media);
  return (await namedQuestions(format, file)).map(({ names, ...question }) => ({ ...question, ...media.find(names, format === 'tgif-qa' ? '.gif' : '.mp4') }));
}

async function namedQuestions(format: QuestionFormat, file: string): Promise<NamedQuestion[]> {
  const text = await readText(file);
  const beside = (name: string): string => path.join(path.dirname(file), name);
  switch (format) {
    case 'msvd-qa': {
      const mapping = beside('youtube_mapping.txt');
      const there = await stat(mapping).then((facts) => facts.isFile(), () => false);
      return parseMsvdQa(text, file, there ? await readText(mapping) : null);
    }
    case 'msrvtt-qa':
      return parseMsrvttQa(text, file);
    case 'activitynet-qa': {
      const answers = file.replace(/_q\.json$/, '_a.json');
      if (answers === file) throw new UserError(`${file}: name the file of questions, such as test_q.json; the answers are read from test_a.json beside it.`);
      return parseActivityNetQa(text, file, await readText(answers), answers);
    }
    case 'tgif-qa':
      return parseTgifFrameQa(text, file);
    case 'next-qa':
      return parseNextQa(text, file);
  }
}

/** @throws UserError as `readQuestionFormat` */
export async function readCaptionFormat(format: CaptionFormat, file: string, options: FormatOptions): Promise<CaptionDatum[]> {
  const media = await MediaFolder.open(file, options.media);
  return (await namedCaptions(format, file, options.split)).map(({ names, ...captions }) => ({ ...captions, ...media.find(names, format === 'flickr8k' ? '.jpg' : '.mp4') }));
}

async function namedCaptions(format: CaptionFormat, file: string, split: string | undefined): Promise<NamedCaptions[]> {
  const text = await readText(file);
  if (format === 'msr-vtt') return parseMsrvtt(text, file, split ?? null);
  const names = split === undefined ? null : path.join(path.dirname(file), `Flickr_8k.${split}Images.txt`);
  return parseFlickr8k(text, file, names === null ? null : await readText(names));
}

async function readText(file: string): Promise<string> {
  const { size } = await stat(file);
  if (size > MAX_FILE_BYTES) throw new UserError(`${file} has ${size} bytes; data files of at most ${MAX_FILE_BYTES} are read.`);
  return readFile(file, 'utf8');
}

/** Videos and photos below a folder, found by their names without extension. */
class MediaFolder {
  private constructor(
    private readonly folder: string,
    private readonly files: ReadonlyMap<string, readonly string[]>,
  ) {}

  static async open(dataFile: string, named: string | undefined): Promise<MediaFolder> {
    const folder = named ?? (await besideData(path.dirname(dataFile)));
    const found = await readdir(folder, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
      // Scoring answers made elsewhere needs no videos.
      if (error.code === 'ENOENT' && named === undefined) return [];
      throw error;
    });
    if (found.length > MAX_MEDIA_FILES) throw new UserError(`${folder} holds ${found.length} files; at most ${MAX_MEDIA_FILES} are looked at.`);
    const files = new Map<string, string[]>();
    for (const name of found.sort()) {
      if (!name.endsWith(CONTAINER) && !MEDIA.test(name)) continue;
      const stem = path.basename(name, path.extname(name));
      files.set(stem, [...(files.get(stem) ?? []), name]);
    }
    return new MediaFolder(folder, files);
  }

  /** A container goes before the file it was made from, which is then its original. What is not there fails when it is opened. */
  find(names: readonly string[], extension: string): MediaDatum {
    const found = names.flatMap((name) => this.files.get(name) ?? []);
    const container = found.find((name) => name.endsWith(CONTAINER));
    const original = found.find((name) => !name.endsWith(CONTAINER));
    const at = (name: string): string => path.resolve(this.folder, name);
    const source = container ?? original ?? `${names[0] ?? ''}${extension}`;
    return { source, file: at(source), original: container === undefined || original === undefined ? null : at(original) };
  }
}

async function besideData(folder: string): Promise<string> {
  for (const name of MEDIA_FOLDERS) {
    const candidate = path.join(folder, name);
    if (await stat(candidate).then((facts) => facts.isDirectory(), () => false)) return candidate;
  }
  return folder;
}
