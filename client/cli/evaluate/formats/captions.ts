/** Published sets of captions, in the files their authors publish. */
import { UserError } from '../../failure.js';
import { entriesOf, idOf, MAX_ENTRIES, MAX_FIELD_CHARS, objectOf, parseJson, parseTable, textOf } from './parse.js';

/** Captions of one photo or video, which is known by the name of its file without extension. */
export interface NamedCaptions {
  readonly id: string;
  readonly references: readonly string[];
  readonly names: readonly string[];
}

/**
 * Flickr8k (Hodosh et al. 2013): lines `<photo>#<number><tab><caption>`, or a table `image,caption`.
 *
 * @param split names of photos, one a line: only these are taken, in this order; null for all
 */
export function parseFlickr8k(text: string, file: string, split: string | null): NamedCaptions[] {
  const pairs = /^\ufeff?image,caption\s*\n/.test(text)
    ? parseTable(text, file, ',', ['image', 'caption']).map((entry): [string, string] => [textOf(entry, 'image'), textOf(entry, 'caption')])
    : tokenLines(text, file);
  const groups = grouped(pairs);
  const photos = split === null ? [...groups.keys()] : split.split(/\s+/).filter((name) => name !== '');
  return photos.map((photo) => {
    const references = groups.get(photo);
    if (references === undefined) throw new UserError(`${file} has no caption of ${photo}, which the split names.`);
    return { id: photo, references, names: [photo.replace(/\.[^.]*$/, '')] };
  });
}

function tokenLines(text: string, file: string): [string, string][] {
  const lines = text.split('\n');
  if (lines.length > MAX_ENTRIES) throw new UserError(`${file} has ${lines.length} lines; at most ${MAX_ENTRIES} are read.`);
  return lines.flatMap((line, i): [string, string][] => {
    if (line.trim() === '') return [];
    const match = line.length > MAX_FIELD_CHARS ? null : /^([^\t#]+)#\d+\t(.+)$/.exec(line.replace(/\r$/, ''));
    if (match === null) throw new UserError(`${file}, line ${i + 1}: a photo, #, a number, a tab and a caption are needed.`);
    return [[match[1] ?? '', (match[2] ?? '').trim()]];
  });
}

/**
 * MSR-VTT (Xu et al. 2016): an object with `videos`, a list of `{"video_id", "split"}`, and `sentences`, a list of
 * `{"video_id", "caption"}`.
 *
 * @param split take only videos of this split; null for all
 */
export function parseMsrvtt(text: string, file: string, split: string | null): NamedCaptions[] {
  const data = objectOf(parseJson(text, file), file);
  const groups = grouped(entriesOf(data['sentences'], file, 'sentences').map((entry) => [idOf(entry, 'video_id'), textOf(entry, 'caption')]));
  const videos = entriesOf(data['videos'], file, 'videos');
  const taken = split === null ? videos : videos.filter((entry) => textOf(entry, 'split') === split);
  if (taken.length === 0) {
    const splits = [...new Set(videos.map((entry) => textOf(entry, 'split')))].join(', ');
    throw new UserError(`${file} has no video${split === null ? 's' : ` of the split "${split}"; its splits are ${splits}`}.`);
  }
  return taken.map((entry) => {
    const id = idOf(entry, 'video_id');
    const references = groups.get(id);
    if (references === undefined) throw new UserError(`${entry.where}: ${id} has no caption in "sentences".`);
    return { id, references, names: [id] };
  });
}

function grouped(pairs: readonly (readonly [string, string])[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const [name, caption] of pairs) {
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [caption]);
    else group.push(caption);
  }
  return groups;
}
