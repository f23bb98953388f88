/** A published language model looked at, and written as a pack with the vision half of another. */
import path from 'node:path';
import { layerWeights } from '../../../model/language/language-model.js';
import { openPublishedLanguage, type PublishedLanguage } from '../../../model/language/published/open.node.js';
import type { TemplateName } from '../../../model/language/published/templates.js';
import { type PackManifest, writeSafetensors } from '../../../model/pack/index.js';
import { type ModelPack, openPack } from '../../../model/pack/open.node.js';
import { PackWriter, sha256OfFile } from '../../../model/pack/write.node.js';
import type { Runtime } from '../../../model/runtime/types.js';
import { findVisionTower, type FoundTower } from '../../../model/vision/open.node.js';
import { oneLine, UserError } from '../failure.js';
import { grouped } from '../terminal.js';
import { memoryCost } from './cost.js';
import { writeLanguage } from './language-files.js';
import { findLicence, type FoundLicence } from './licence.js';
import { baseHalf, towerHalf } from './vision-half.js';

export interface SurveyOptions {
  /** What the sources are called in pack.json. */
  readonly origin: string;
  readonly bits?: 4 | 8;
  /** Pack whose vision half is taken, unless the model or `vision` brings a tower. */
  readonly base?: string;
  /** Folder of a published vision tower. */
  readonly vision?: string;
  readonly template?: TemplateName;
  readonly licence?: string;
  readonly name?: string;
}

export interface Survey {
  /** For people: what was found, what it costs, what is missing. */
  readonly text: string;
  readonly language: PublishedLanguage;
  readonly base: ModelPack;
  /** The published tower, or null for the base's. */
  readonly tower: FoundTower | null;
  readonly towerLicence: string | null;
  readonly licence: FoundLicence | null;
  readonly id: string;
  readonly origin: string;
  close(): void;
}

/** Weights above which 4 bits are the default: in 8 bits they would not fit beside others into 2 GB. */
const MOST_IN_8_BITS = 1_000_000_000;
const LICENCE_FILE = 'LICENSE-language';

/** Looks at a model: nothing is loaded but sizes, names and texts. @throws PackError, TensorFileError or UserError by name */
export async function surveyModel(where: string, options: SurveyOptions): Promise<Survey> {
  const base = await openPack(options.base);
  const probe = await openPublishedLanguage(where, { bits: 8, ...(options.template === undefined ? {} : { template: options.template }) });
  const bits = options.bits ?? (layerWeights(probe.source.config) > MOST_IN_8_BITS ? 4 : 8);
  let language = probe;
  if (bits === 4) {
    probe.close();
    language = await openPublishedLanguage(where, { bits, ...(options.template === undefined ? {} : { template: options.template }) });
  }
  let tower: FoundTower | null = null;
  try {
    const folder = where.endsWith('.gguf') ? path.dirname(where) : where;
    const eye = options.vision ?? (language.hasTower ? folder : null);
    if (eye !== null) tower = await findVisionTower(eye);
    const licence = options.licence === undefined ? await findLicence(folder) : { name: options.licence, file: (await findLicence(folder))?.file ?? null };
    const towerLicence = options.vision === undefined ? (licence?.name ?? null) : ((await findLicence(options.vision))?.name ?? null);
    const id = options.name ?? `${slug(options.origin.split(',')[0] as string)}${language.hasTower ? '' : `-${tower?.config.architecture ?? base.manifest.feature_space.split('-')[0] ?? 'pack'}`}`;
    const survey = {
      language, base, tower, towerLicence, licence, id, origin: options.origin,
      close: () => {
        language.close();
        tower?.close();
      },
    };
    return { ...survey, text: describe(survey, bits) };
  } catch (error) {
    language.close();
    tower?.close();
    throw error;
  }
}

function slug(origin: string): string {
  return path.basename(origin).replace(/\.gguf$/, '').toLowerCase().replace(/[^a-z0-9.]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 100) || 'model';
}

function describe({ language, base, tower, licence, id, origin }: Omit<Survey, 'text'>, bits: 4 | 8): string {
  const { config } = language.source;
  const handling = language.source.handling();
  const runsIn = handling.every(({ stored, becomes }) => becomes === 'rounded to 4 bits' || /^Q4/.test(stored)) && bits === 4 ? 4 : 8;
  const cost = memoryCost(config, runsIn);
  const megabytes = (bytes: number): string => `${grouped(Math.ceil(bytes / 1e6))} MB`;
  const weights = layerWeights(config) + config.vocab * config.hidden * (config.tied ? 1 : 2);
  const scaling = config.rope_scaling === undefined ? '' : `, rope scaling ${config.rope_scaling.type}`;
  const missing = [
    ...(licence === null ? ['a licence (--licence NAME)'] : []),
    ...(tower?.problems.slice(0, 3) ?? []),
    ...(tower?.config.architecture === 'idefics3' || tower?.tensors.has('video_query_tokens') === true ? [] : ['a projector and adapter trained for this model: latentchat train projector --pack FOLDER --data CAPTIONS.jsonl']),
  ];
  const facts: [string, string][] = [
    ['pack', id],
    ['found', `${oneLine(origin)}: a Llama-family language model, ${language.layout === 'gguf' ? 'GGUF' : 'Hugging Face layout'}, ${language.weightFiles.length} weight ${language.weightFiles.length === 1 ? 'file' : 'files'}`],
    ['sizes', `${grouped(weights)} weights: ${config.layers} layers of width ${config.hidden}, ${config.heads} heads over ${config.kv_heads}, vocabulary ${config.vocab}${config.tied ? ', tied' : ''}, context ${config.context}${scaling}`],
    ['weights', handling.map(({ stored, tensors, becomes }) => `${tensors} ${stored} ${becomes}`).join(', ')],
    ['answers', `end with ${[config.eos, ...(config.ends ?? [])].join(', ')}${language.stop.length === 0 ? '' : ` or "${language.stop.join('", "')}"`}`],
    ['memory', `${megabytes(cost.loaded)} loaded, up to ${megabytes(cost.loading)} while loading, ${megabytes(cost.conversation)} more for every 1,000 tokens of a conversation`],
    ['vision', tower !== null ? describeTower(tower) : `${base.manifest.vision.architecture} of pack ${base.manifest.id} (feature space ${base.manifest.feature_space})`],
    ['licence', licence === null ? 'not said by the folder' : `${licence.name ?? 'see its text'}${licence.file === null ? '' : ` (${path.basename(licence.file)})`}`],
    ['missing', missing.length === 0 ? 'nothing' : missing.join('; ')],
  ];
  return facts.map(([name, value]) => `${name.padEnd(8)} ${value}`).join('\n') + '\n';
}

function describeTower({ config, tokens, channels, parameters, memoryBytes }: FoundTower): string {
  return `${config.architecture}, ${grouped(parameters)} weights (${grouped(Math.ceil(memoryBytes / 1e6))} MB loaded), ${config.vit.image} x ${config.vit.image} pixels to ${tokens} tokens of ${channels}; a feature space of its own: containers of other packs cannot be asked about`;
}

export interface WriteOptions {
  /** Folder of photos that give the latents' directions; see towerHalf. */
  readonly photos?: string;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  /** Label, steps done, steps in all, and what they are. */
  readonly onProgress: (label: string, done: number, total: number, unit: string) => void;
}

/**
 * Writes the pack.
 * @throws UserError when the licence is not known; PackError when the folder is not empty; the signal's reason once it is aborted. Nothing is left behind
 */
export async function writePack(survey: Survey, folder: string, { photos, runtime, signal, onProgress }: WriteOptions): Promise<PackManifest> {
  const { language, base, tower, towerLicence, licence, id, origin } = survey;
  if (licence === null) throw new UserError('The folder does not say under which licence the model stands (no license in README.md, no LICENSE file). Say it with --licence NAME.');
  const { config } = language.source;
  const writer = await PackWriter.create(folder);
  try {
    const half = tower === null
      ? baseHalf(base)
      : await towerHalf(tower, { origin, licence: towerLicence, ...(photos === undefined ? {} : { photos }), runtime, signal, base, onPhoto: (done, total) => onProgress('looking', done, total, 'photos') });
    const hashes: { file: string; sha256: string }[] = [];
    for (const [index, file] of language.weightFiles.entries()) {
      hashes.push({ file: path.basename(file), sha256: await sha256OfFile(file, signal) });
      onProgress('hashing', index + 1, language.weightFiles.length, 'files');
    }
    await writeLanguage(writer, language, (done, total) => onProgress('rounding', done, total, 'layers'), signal);
    if (licence.file !== null) await writer.copy(LICENCE_FILE, licence.file, signal);
    await half.write(writer);
    const projector = await half.projector(config.hidden);
    await writer.write('projector.safetensors', writeSafetensors(projector.tensors));
    return await writer.finish({
      id,
      ...half.manifest,
      licences: [
        { part: 'language model, embedding, tokenizer, chat template', licence: licence.name, ...(licence.file === null ? {} : { file: LICENCE_FILE }), origin },
        ...half.manifest.licences,
      ],
      sources: [{ part: 'language', from: origin, layout: language.layout, files: hashes }, ...half.manifest.sources],
      language: config,
      projector: projector.manifest,
      prompt: { ...half.prompt, ...(language.stop.length === 0 ? {} : { stop: [...language.stop] }) },
    });
  } catch (error) {
    await writer.discard();
    throw error;
  }
}
