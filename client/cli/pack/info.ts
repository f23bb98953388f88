/** What a pack holds, and whether it is whole. */
import { LanguageModel, layerWeights } from '../../../model/language/language-model.js';
import { TextTokenizer } from '../../../model/language/index.js';
import { readDecoderWeights } from '../../../model/language/weights.js';
import { PackError, type ModelPack } from '../../../model/pack/index.js';
import { projectorShapes, videoProjectorSpecs } from '../../../projector/index.js';
import { oneLine } from '../failure.js';
import { grouped } from '../terminal.js';
import { memoryCost } from './cost.js';

/** What `pack info` prints. */
export function packInfo(pack: ModelPack): string {
  const { id, feature_space: space, files, vision, latent, language, adapter, projector, licences, sources } = pack.manifest;
  const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
  const cost = memoryCost(language, layerWeights(language) <= LanguageModel.mostMerged ? 8 : 4);
  const megabytes = (count: number): string => `${grouped(Math.ceil(count / 1e6))} MB`;
  const side = 'vit' in vision ? vision.vit.image : vision.size;
  const facts: [string, string][] = [
    ['pack', `${id}, ${Object.keys(files).length} files, ${grouped(bytes)} bytes`],
    ['space', `${space}: containers encoded for it can be asked about`],
    ['vision', `${vision.architecture}, ${side} x ${side} pixels, ${latent.dim} numbers a frame`],
    ['language', `${language.layers} layers of width ${language.hidden}, ${language.heads} heads over ${language.kv_heads}, vocabulary ${language.vocab}, context ${language.context}`],
    ['between', `${latent.tokens} tokens a ${projector.video === undefined ? 'frame' : 'video'}${projector.trained === false ? ', not trained yet: latentchat train projector' : ''}${adapter === undefined ? ', no adapter' : `, adapter of rank ${adapter.rank}`}`],
    ['memory', `${megabytes(cost.loaded)} loaded, up to ${megabytes(cost.loading)} while loading, ${megabytes(cost.conversation)} more for every 1,000 tokens of a conversation`],
    ...licences.map((entry): [string, string] => ['licence', brief(entry, ['part', 'licence', 'origin'])]),
    ...sources.map((entry): [string, string] => ['source', brief(entry, ['part', 'package', 'from', 'file'])]),
  ];
  return facts.map(([name, value]) => `${name.padEnd(8)} ${oneLine(value)}`).join('\n') + '\n';
}

function brief(entry: unknown, fields: readonly string[]): string {
  if (typeof entry !== 'object' || entry === null) return String(entry);
  const record = entry as Readonly<Record<string, unknown>>;
  return fields.flatMap((field) => (typeof record[field] === 'string' ? [record[field]] : [])).join(', ');
}

/** @throws PackError or SafetensorsError naming the file that is missing, altered, or of sizes that do not fit */
export async function checkPack(pack: ModelPack): Promise<void> {
  const { files, language, latent, projector, adapter } = pack.manifest;
  for (const name of Object.keys(files)) await pack.bytes(name);
  const tokenizer = new TextTokenizer(await pack.text('tokenizer.json'));
  if (tokenizer.size > language.vocab) throw new PackError(`tokenizer.json of ${pack.where} has ${tokenizer.size} tokens, the embedding matrix ${language.vocab} rows: they are not of one model`);
  const shards = Object.keys(files).filter((file) => LanguageModel.shards.test(file));
  readDecoderWeights(
    language,
    await Promise.all(shards.map((file) => pack.tensors(file))),
    await pack.tensors('embedding.safetensors'),
    adapter === undefined ? null : await pack.tensors('adapter.safetensors'),
  );
  const tensors = await pack.tensors('projector.safetensors');
  const specs = projector.video === undefined
    ? Object.entries(projectorShapes({ latent: latent.dim, tokens: latent.tokens, hidden: language.hidden, inner: projector.hidden }))
    : videoProjectorSpecs(projector.video, language.hidden).map(({ name, dims }) => [name, dims] as const);
  for (const [name, dims] of specs) tensors.get(name, dims);
}
