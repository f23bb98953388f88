/** Models of a Hugging Face hub, fetched by its official library into its cache, each weight file checked against the hub's own sha256. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { downloadFileToCacheDir, listFiles } from '@huggingface/hub';
import { sha256OfFile } from '../../../model/pack/write.node.js';
import { UserError } from '../failure.js';

/** `owner/name`, as the hub writes ids. */
const HUB_ID = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;
/** What a pack is made from, in the repository's top folder; weights in other formats beside safetensors are left where they are. */
const WANTED = /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|preprocessor_config|processor_config|chat_template|model\.safetensors\.index)\.json$|^chat_template\.jinja$|^model(-\d{5}-of-\d{5})?\.safetensors$|^README\.md$|^(LICENSE|LICENCE|USE_POLICY)[\w.-]*$/i;
/** Files of a repository: larger ones are data sets. */
const MOST_FILES = 10_000;

export interface HubOptions {
  /** Address of the hub. */
  readonly endpoint: string;
  readonly revision: string;
  /** Name of one GGUF file of the repository, instead of its safetensors. */
  readonly file?: string;
  readonly token?: string;
  readonly cache?: string;
  readonly signal: AbortSignal;
  /** `bytes` of the file that begins now; null where the hub does not say. */
  readonly onFile: (name: string, index: number, count: number, bytes: number | null) => void;
}

/** Whether `source` names a model of the hub and not something on this disk. */
export function isHubId(source: string): boolean {
  return HUB_ID.test(source) && !existsSync(source);
}

/**
 * Fetches a model's files; those that are in the cache already are taken from there.
 * @returns the folder they lie in, or the GGUF file that was asked for
 * @throws UserError naming the repository or the file
 */
export async function fetchModel(id: string, options: HubOptions): Promise<string> {
  const { endpoint, revision, file, signal } = options;
  const request = { repo: { type: 'model' as const, name: id }, revision, hubUrl: endpoint, ...(options.token === undefined ? {} : { accessToken: options.token }) };
  const wanted: { path: string; size: number; sha256: string | null }[] = [];
  const others: string[] = [];
  let seen = 0;
  try {
    for await (const entry of listFiles({ ...request, fetch: stoppable(signal) })) {
      if (++seen > MOST_FILES) throw new UserError(`${id} has more than ${MOST_FILES} files; that is no model.`);
      if (entry.type !== 'file') continue;
      if (entry.path.endsWith('.gguf')) others.push(entry.path);
      const weights = /\.safetensors(\.index\.json)?$/.test(entry.path);
      const take = file === undefined ? WANTED.test(entry.path) : entry.path === file || (WANTED.test(entry.path) && !weights);
      if (take) wanted.push({ path: entry.path, size: entry.lfs?.size ?? entry.size, sha256: entry.lfs?.oid ?? null });
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof UserError) throw error;
    throw new UserError(`${id} at ${endpoint}, revision ${revision}, cannot be listed: ${reason(error)}. Is the name right, and may it be read without a token (HF_TOKEN)?`);
  }
  const weights = wanted.some(({ path: name }) => (file === undefined ? name.endsWith('.safetensors') : name === file));
  if (!weights) {
    const choice = others.length === 0 ? '' : ` It has GGUF files: name one with --file (${others.slice(0, 5).join(', ')}${others.length > 5 ? ', ...' : ''}).`;
    throw new UserError(file === undefined ? `${id} has no model.safetensors.${choice}` : `${id} has no file ${file}.${choice}`);
  }
  let place = '';
  for (const [index, { path: name, size, sha256 }] of wanted.entries()) {
    options.onFile(name, index, wanted.length, size);
    const local = await quietly(() => downloadFileToCacheDir({ ...request, path: name, fetch: stoppable(signal), ...(options.cache === undefined ? {} : { cacheDir: options.cache }) })).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new UserError(`${name} of ${id} could not be fetched: ${reason(error)}. The same command goes on with the files that are still missing.`);
    });
    if (sha256 !== null) {
      const found = await sha256OfFile(local, signal);
      if (found !== sha256) throw new UserError(`${local} is not ${name} of ${id}: its sha256 is ${found}, the hub says ${sha256}. Delete it and run the command again.`);
    }
    if (name === 'config.json' || place === '') place = path.dirname(local);
    if (name === file) place = local;
  }
  return place;
}

/** The library announces each download on standard output, where this command's results go. */
async function quietly<T>(work: () => Promise<T>): Promise<T> {
  const { debug } = console;
  console.debug = () => undefined;
  try {
    return await work();
  } finally {
    console.debug = debug;
  }
}

function stoppable(signal: AbortSignal): typeof fetch {
  return (input, init) => fetch(input, { ...init, signal });
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
