/** What the user names on the command line: containers, videos, photos and folders of them. */
import { readFile, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Container, ContainerError, readContainer } from '../../model/container/index.js';
import { namedRefusal } from '../../model/video/linr-video.js';
import { UserError } from './failure.js';

/** Names that a folder is searched for; the bytes decide what a file really is. */
const KNOWN_NAMES = /\.(linr|mp4|m4v|mov|mkv|webm|avi|flv|wmv|m2?ts|vob|mpe?g|mxf|dv|og[gv]|3gp|y4m|ivf|nut|h26[45]|gif|apng|jpe?g|png|webp|avif|heic|tiff?|bmp)$/i;
/** Reads a whole container. @throws UserError that names the file when it is not one, or is damaged. */
export async function readContainerFile(file: string): Promise<{ container: Container; bytes: Uint8Array }> {
  const bytes = await readFile(file);
  return { container: inFile(file, () => readContainer(bytes)), bytes };
}

/** Runs a reading of `file`'s bytes and puts the file's name into what it refuses. */
export function inFile<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof ContainerError ? containerProblem(namedRefusal(file, error)) : error;
  }
}

/** A refusal of a container, whose message has the file's name, with what helps. */
export function containerProblem(error: ContainerError): UserError {
  const help = error.code === 'not_a_container' ? ' Make one from a video or photo with: latentchat encode' : '';
  return new UserError(`${error.message}${help}`, { cause: error });
}

/**
 * Files as they are, folders as the videos, photos and containers below them in order of name, and patterns (`*`, `?`, and `**` for any
 * depth) as what they match.
 * @throws UserError for a folder or pattern that gives nothing
 */
export async function expandInputs(inputs: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const input of inputs) {
    const facts = await stat(input).catch(() => null);
    if (facts === null && /[*?]/.test(input)) {
      files.push(...(await matching(input)));
      continue;
    }
    if (facts === null || !facts.isDirectory()) {
      files.push(input);
      continue;
    }
    const found = (await readdir(input, { recursive: true })).filter((name) => KNOWN_NAMES.test(name)).sort();
    if (found.length === 0) throw new UserError(`The folder ${input} has no videos, photos or containers in it.`);
    files.push(...found.map((name) => path.join(input, name)));
  }
  return [...new Set(files)];
}

/** Files that match a pattern, in order of name: for shells that leave it to the program, and patterns in quotes. */
async function matching(pattern: string): Promise<string[]> {
  const parts = pattern.split('/');
  const plain = parts.findIndex((part) => /[*?]/.test(part));
  const folder = parts.slice(0, plain).join('/') || (pattern.startsWith('/') ? '/' : '.');
  const rest = parts.slice(plain);
  const deep = rest.length > 1;
  const test = new RegExp(`^${rest.map((part, i) => partPattern(part, i === rest.length - 1)).join('')}$`, 'u');
  const entries = await readdir(folder, { recursive: deep, withFileTypes: true }).catch(() => []);
  const found = entries
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => test.test(path.relative(folder, file).replaceAll(path.sep, '/')))
    .sort();
  if (found.length === 0) throw new UserError(`No file matches ${pattern}.`);
  return found;
}

function partPattern(part: string, last: boolean): string {
  if (part === '**') return last ? '.*' : '(?:[^/]+/)*';
  const source = part.replace(/[^\w]/gu, (character) => PATTERN_SIGNS[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
  return last ? source : `${source}/`;
}

const PATTERN_SIGNS: Readonly<Record<string, string>> = { '*': '[^/]*', '?': '[^/]' };
