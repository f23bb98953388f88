/** A published language model in a folder: weights, sizes, tokenizer, chat template and the tokens that end an answer, checked against each other. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { openWeightBytes } from '../../pack/bytes.node.js';
import { readGguf, type GgufFile } from '../../pack/gguf/index.js';
import { PackError, type LanguageConfig } from '../../pack/manifest.js';
import { openWeights, weightsFile } from '../../pack/weights.node.js';
import type { BlockBits } from '../matrix.js';
import { TextTokenizer } from '../tokenizer.js';
import type { DecoderSource } from './decoder-source.js';
import { ggufDecoder, parseGgufConfig } from './gguf.js';
import { ggufTokenizer } from './gguf-tokenizer.js';
import { huggingFaceDecoder } from './huggingface.js';
import { parseLlamaConfig, tokenIds } from './llama-config.js';
import { TEMPLATES, type TemplateName } from './templates.js';

export interface PublishedLanguage {
  readonly layout: 'huggingface' | 'gguf';
  readonly source: DecoderSource;
  /** The text of a tokenizer.json. */
  readonly tokenizer: string;
  readonly template: string;
  /** The texts of the tokens that templates write by name. */
  readonly tokens: { readonly bos: string; readonly eos: string };
  /** Strings that end an answer where the template marks turns by text. */
  readonly stop: readonly string[];
  /** The folder is a vision-language model's: its tower lies beside. */
  readonly hasTower: boolean;
  /** The files with the weights, as paths. */
  readonly weightFiles: readonly string[];
  /** Closes the weights; the source cannot be read after that. */
  close(): void;
}

export interface OpenLanguageOptions {
  /** Bits of the blocks that float weights are rounded to; null keeps float32. */
  readonly bits: BlockBits;
  /** The prompt form of a model that comes without a chat template. */
  readonly template?: TemplateName;
}

/** Rows an embedding may have beyond the tokenizer's vocabulary: they are padded to multiples of 64 to 512, and spare tokens are kept. */
const MOST_PADDING = 1024;
/** Text files of a model: tokenizers with 260,000 tokens take 35 MB. */
const MAX_TEXT_BYTES = 128 * 1024 * 1024;

/**
 * Opens the language model of a folder in Hugging Face layout, of a GGUF file, or of a folder that holds one GGUF file. Of a
 * vision-language model (Idefics3, SmolVLM) it is the text half.
 * @throws PackError or TensorFileError naming the file or field that is missing, altered, of an unknown architecture or does not fit
 */
export async function openPublishedLanguage(where: string, options: OpenLanguageOptions): Promise<PublishedLanguage> {
  const file = ggufIn(where);
  return file === null ? openHuggingFace(where, options) : openGguf(file, options);
}

async function openHuggingFace(folder: string, options: OpenLanguageOptions): Promise<PublishedLanguage> {
  const configFile = path.join(folder, 'config.json');
  const { config, prefix, bos, eos } = parseLlamaConfig(await readJson(configFile), configFile);
  const text = await readText(path.join(folder, 'tokenizer.json'));
  if (text === null) throw new PackError(missingTokenizer(folder));
  const tokenizer = readTokenizer(text, folder);
  const tensors = await openWeights(folder);
  try {
    const texts = await modelTexts(folder, tokenizer, options, { bos, eos }, null);
    const whole = completeConfig(config, texts, tokenizer, folder);
    return {
      layout: 'huggingface',
      source: huggingFaceDecoder(tensors, whole, prefix, options.bits),
      tokenizer: text,
      template: texts.template,
      tokens: texts.tokens,
      stop: texts.stop,
      hasTower: prefix !== 'model.',
      weightFiles: await filesOf(folder),
      close: () => tensors.close(),
    };
  } catch (error) {
    tensors.close();
    throw error;
  }
}

async function openGguf(file: string, options: OpenLanguageOptions): Promise<PublishedLanguage> {
  const folder = path.dirname(file);
  const bytes = openWeightBytes(file);
  try {
    const gguf = readGguf(bytes, path.basename(file));
    const { config, ids } = parseGgufConfig(gguf);
    const text = (await readText(path.join(folder, 'tokenizer.json'))) ?? ggufTokenizer(gguf);
    if (text === null) {
      throw new PackError(`${file}: its tokenizer (${String(gguf.metadata.get('tokenizer.ggml.model'))}, ${String(gguf.metadata.get('tokenizer.ggml.pre'))}) is of a kind that is not known here: put the model's tokenizer.json beside it`);
    }
    const tokenizer = readTokenizer(text, file);
    const texts = await modelTexts(folder, tokenizer, options, ids, gguf);
    return {
      layout: 'gguf',
      source: ggufDecoder(gguf, completeConfig(config, texts, tokenizer, file), options.bits),
      tokenizer: text,
      template: texts.template,
      tokens: texts.tokens,
      stop: texts.stop,
      hasTower: false,
      weightFiles: [file],
      close: () => bytes.close(),
    };
  } catch (error) {
    bytes.close();
    throw error;
  }
}

/** The GGUF file that `where` is or holds; null where it is a folder with a config.json. */
function ggufIn(where: string): string | null {
  if (!existsSync(where)) throw new PackError(`${where} does not exist`);
  if (!statSync(where).isDirectory()) {
    if (where.endsWith('.gguf')) return where;
    throw new PackError(`${where} is neither a folder nor a .gguf file`);
  }
  if (existsSync(path.join(where, 'config.json'))) return null;
  const files = readdirSync(where).filter((name) => name.endsWith('.gguf'));
  if (files.length > 1) throw new PackError(`${where} holds ${files.length} GGUF files (${files.slice(0, 4).join(', ')}${files.length > 4 ? ', ...' : ''}); name one of them`);
  if (files[0] === undefined) throw new PackError(`${where} holds no model: it has neither a config.json nor a .gguf file`);
  return path.join(where, files[0]);
}

function missingTokenizer(folder: string): string {
  const sentencepiece = existsSync(path.join(folder, 'tokenizer.model'));
  return `tokenizer.json is missing from ${folder}${sentencepiece ? '; its tokenizer.model is not read here, save it as tokenizer.json with transformers (AutoTokenizer, use_fast)' : ''}`;
}

function readTokenizer(text: string, where: string): TextTokenizer {
  try {
    return new TextTokenizer(text);
  } catch (error) {
    throw new PackError(`the tokenizer of ${where} cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
}

interface ModelTexts {
  readonly template: string;
  readonly tokens: { readonly bos: string; readonly eos: string };
  readonly stop: readonly string[];
  readonly bos: number;
  /** The first one ends the assistant's turn. */
  readonly eos: readonly number[];
}

/** Chat template and special tokens, from the files that published models have them in. */
async function modelTexts(
  folder: string,
  tokenizer: TextTokenizer,
  options: OpenLanguageOptions,
  ids: { readonly bos: number | null; readonly eos: readonly number[] },
  gguf: GgufFile | null,
): Promise<ModelTexts> {
  const settings = await readObject(path.join(folder, 'tokenizer_config.json'));
  const generation = await readObject(path.join(folder, 'generation_config.json'));
  const named = (key: string): number[] => {
    const value = settings[key];
    const content = typeof value === 'object' && value !== null && 'content' in value ? value.content : value;
    const id = typeof content === 'string' ? tokenizer.idOf(content) : null;
    return id === null ? [] : [id];
  };
  const ends = [...new Set([...named('eos_token'), ...tokenIds(generation['eos_token_id']), ...ids.eos])];
  const bos = named('bos_token')[0] ?? tokenIds(generation['bos_token_id'])[0] ?? ids.bos ?? ends[0];
  if (ends.length === 0 || bos === undefined) {
    throw new PackError(`${folder}: which token ends an answer is not said; tokenizer_config.json (eos_token), generation_config.json or config.json (eos_token_id) must`);
  }
  const own = (await readText(path.join(folder, 'chat_template.jinja'))) ?? templateIn(await readObject(path.join(folder, 'chat_template.json'))) ?? templateIn(settings) ?? ggufTemplate(gguf);
  const name = options.template ?? (own === null && /vicuna/i.test(path.resolve(folder)) ? 'vicuna' : undefined);
  const form = name === undefined ? null : TEMPLATES[name];
  const template = form?.template ?? own;
  if (template === null) {
    throw new PackError(`${folder} has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json): add it, or name a known prompt form (${Object.keys(TEMPLATES).join(', ')})`);
  }
  const text = (id: number): string => tokenizer.tokenOf(id) ?? '';
  return { template, tokens: { bos: text(bos), eos: text(ends[0] as number) }, stop: form?.stop ?? [], bos, eos: ends };
}

function ggufTemplate(gguf: GgufFile | null): string | null {
  const value = gguf?.metadata.get('tokenizer.chat_template');
  return typeof value === 'string' ? value : null;
}

/** `chat_template` as a text, or as a list of named ones of which the default counts. */
function templateIn(json: Readonly<Record<string, unknown>>): string | null {
  const value = json['chat_template'];
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return null;
  const chosen = (value as unknown[]).find((entry): entry is { name: string; template: string } => typeof entry === 'object' && entry !== null && 'name' in entry && entry.name === 'default');
  return typeof chosen?.template === 'string' ? chosen.template : null;
}

function completeConfig(config: Omit<LanguageConfig, 'bos' | 'eos' | 'ends'>, texts: ModelTexts, tokenizer: TextTokenizer, where: string): LanguageConfig {
  const { vocab } = config;
  if (tokenizer.size > vocab || tokenizer.size < vocab - MOST_PADDING) {
    throw new PackError(`the tokenizer of ${where} has ${tokenizer.size} tokens, the embedding matrix ${vocab} rows: they are not of one model`);
  }
  const [eos, ...ends] = texts.eos as [number, ...number[]];
  for (const id of [texts.bos, eos, ...ends]) {
    if (id >= vocab) throw new PackError(`${where}: token ${id} is to begin or end texts, the vocabulary has ${vocab}`);
  }
  return { ...config, bos: texts.bos, eos, ...(ends.length === 0 ? {} : { ends }) };
}

/** The files the weights lie in: one, or the shards an index names. */
async function filesOf(folder: string): Promise<string[]> {
  const file = weightsFile(folder) as string;
  if (!file.endsWith('.json')) return [file];
  const { weight_map: map } = (await readJson(file)) as { weight_map: Readonly<Record<string, string>> };
  return [...new Set(Object.values(map))].map((name) => path.join(folder, name));
}

/** null where there is no such file. */
async function readText(file: string): Promise<string | null> {
  if (!existsSync(file)) return null;
  const { size } = statSync(file);
  if (size > MAX_TEXT_BYTES) throw new PackError(`${file} has ${size} bytes, more than the ${MAX_TEXT_BYTES} allowed`);
  return readFile(file, 'utf8');
}

async function readJson(file: string): Promise<unknown> {
  const text = await readText(file);
  if (text === null) throw new PackError(`${file} is missing`);
  try {
    return JSON.parse(text);
  } catch {
    throw new PackError(`${file} is not JSON`);
  }
}

async function readObject(file: string): Promise<Readonly<Record<string, unknown>>> {
  if (!existsSync(file)) return {};
  const json = await readJson(file);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new PackError(`${file} is not a JSON object`);
  return json as Readonly<Record<string, unknown>>;
}

