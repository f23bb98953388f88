/** Under which licence a published model stands, as its folder says. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

/** A model card's front matter lies in its first bytes. */
const CARD_BYTES = 64 * 1024;
/** Licence texts take 10 to 50 kB. */
const MAX_LICENCE_BYTES = 1024 * 1024;

export interface FoundLicence {
  /** As the card names it, such as "apache-2.0"; null where only the text is there. */
  readonly name: string | null;
  /** Path of the text. */
  readonly file: string | null;
}

/** `license` of README.md's front matter, and the LICENSE file; null where there is neither. */
export async function findLicence(folder: string): Promise<FoundLicence | null> {
  const card = path.join(folder, 'README.md');
  const text = existsSync(card) ? (await readFile(card, 'utf8')).slice(0, CARD_BYTES) : '';
  const matter = /^---\r?\n([\s\S]*?)\r?\n---/.exec(text)?.[1] ?? '';
  const field = (name: string): string | null => new RegExp(`^${name}:\\s*["']?([A-Za-z0-9][\\w .+-]*?)["']?\\s*$`, 'm').exec(matter)?.[1] ?? null;
  const license = field('license');
  const name = license === 'other' ? (field('license_name') ?? license) : license;
  const file = readdirSync(folder).find((entry) => /^(licen[cs]e|use_policy)([._-].*)?$/i.test(entry) && statSync(path.join(folder, entry)).size <= MAX_LICENCE_BYTES);
  return name === null && file === undefined ? null : { name, file: file === undefined ? null : path.join(folder, file) };
}
