/** `latentchat pack`: bring a language model of one's own, look at a pack, check one. */
import path from 'node:path';
import { Command, Option } from 'commander';
import { TEMPLATE_NAMES, type TemplateName } from '../../model/language/published/templates.js';
import { packOption, threadsOption } from './common-options.js';
import { oneLine, UserError } from './failure.js';
import { interruptible } from './interrupt.js';
import type { HubOptions } from './pack/hub.js';
import { grouped, Progress } from './terminal.js';

interface AddOptions {
  readonly output?: string;
  readonly bits?: '4' | '8';
  readonly pack?: string;
  readonly vision?: string;
  readonly photos?: string;
  readonly threads: number;
  readonly licence?: string;
  readonly template?: TemplateName;
  readonly name?: string;
  readonly file?: string;
  readonly revision: string;
  readonly endpoint?: string;
}

const HUB = 'https://huggingface.co';

export function packCommand(): Command {
  const pack = new Command('pack').description('Model packs: the vision tower, projector and language model that encode and chat use.');
  const add = new Command('add')
    .description('Make a pack of a published language model: a folder in Hugging Face layout, a GGUF file, or an id of the hub. Says what it found, what it costs and what is missing.')
    .argument('<source>', 'folder, .gguf file, or hub id such as HuggingFaceTB/SmolLM2-360M-Instruct')
    .option('-o, --output <folder>', 'the pack to write; without it the source is only looked at')
    .addOption(new Option('--bits <n>', 'bits that float weights are rounded to (default: 8, or 4 above a thousand million weights)').choices(['4', '8']))
    .addOption(packOption())
    .option('--vision <folder>', "a published vision tower (CLIP, SigLIP, Idefics3, Video-LLaMA) in place of the pack's")
    .option('--photos <folder>', 'ordinary photos, a few hundred: the latents of a published tower are their principal components')
    .addOption(threadsOption())
    .addOption(new Option('--template <name>', 'prompt form of a model that comes without a chat template').choices(TEMPLATE_NAMES))
    .option('--licence <name>', "licence of the model, where its folder doesn't say")
    .option('--name <id>', "name of the pack (default: after the source)")
    .option('--file <name>', 'of a hub id: the GGUF file to take instead of its safetensors')
    .option('--revision <name>', 'of a hub id: branch, tag or commit', 'main')
    .option('--endpoint <url>', `of a hub id: the hub's address (default: HF_ENDPOINT or ${HUB})`)
    .addHelpText('after', '\nThe vision tower and its latents come from --pack, so containers encoded with that pack can be asked about, unless the source is a vision-language model or --vision names a tower. Ctrl+C leaves nothing behind.')
    .action(addPack);
  const info = new Command('info')
    .description('Say what a pack holds, where it comes from and what it costs.')
    .argument('[folder]', 'pack (default: the one that comes with latentchat)')
    .action(async (folder?: string) => {
      const [{ openPack }, { packInfo }] = await Promise.all([import('../../model/pack/open.node.js'), import('./pack/info.js')]);
      process.stdout.write(packInfo(await openPack(folder)));
    });
  const check = new Command('check')
    .description("Check a pack's files against pack.json and against each other. Ends with an error that names the first file that is wrong.")
    .argument('[folder]', 'pack (default: the one that comes with latentchat)')
    .action(async (folder?: string) => {
      const [{ openPack }, { checkPack }] = await Promise.all([import('../../model/pack/open.node.js'), import('./pack/info.js')]);
      const opened = await openPack(folder);
      await checkPack(opened);
      process.stdout.write(`${oneLine(opened.where)}: all ${Object.keys(opened.manifest.files).length} files are as pack.json says, and fit each other\n`);
    });
  for (const command of [add, info, check]) pack.addCommand(command);
  return pack;
}

async function addPack(source: string, options: AddOptions): Promise<void> {
  const { output } = options;
  const interrupt = interruptible('No pack was written.');
  const progress = new Progress();
  try {
    const [{ isHubId, fetchModel }, { surveyModel, writePack }] = await Promise.all([import('./pack/hub.js'), import('./pack/add.js')]);
    const hub = isHubId(source);
    if (!hub && options.file !== undefined) throw new UserError('--file is for hub ids; name the GGUF file itself.');
    const where = hub ? await fetchModel(source, hubOptions(options, progress, interrupt.signal)) : path.resolve(source);
    progress.clear();
    const survey = await surveyModel(where, {
      origin: hub ? `${source}, revision ${options.revision}` : path.basename(where),
      ...(options.bits === undefined ? {} : { bits: Number(options.bits) as 4 | 8 }),
      ...(options.pack === undefined ? {} : { base: options.pack }),
      ...(options.vision === undefined ? {} : { vision: options.vision }),
      ...(options.template === undefined ? {} : { template: options.template }),
      ...(options.licence === undefined ? {} : { licence: options.licence }),
      ...(options.name === undefined ? {} : { name: options.name }),
    });
    try {
      process.stdout.write(survey.text);
      if (output === undefined) return;
      const { nodeRuntime } = await import('../../model/runtime/node.node.js');
      const manifest = await writePack(survey, output, {
        ...(options.photos === undefined ? {} : { photos: options.photos }),
        runtime: nodeRuntime({ threads: options.threads }),
        signal: interrupt.signal,
        onProgress: (label, done, total, unit) => progress.update({ label, done, total, unit }),
      });
      progress.clear();
      const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
      process.stdout.write(`${oneLine(output)}: pack ${oneLine(manifest.id)}, ${Object.keys(manifest.files).length} files, ${grouped(bytes)} bytes\n`);
    } finally {
      survey.close();
    }
  } finally {
    progress.clear();
    interrupt.dispose();
  }
}

function hubOptions({ endpoint, revision, file }: AddOptions, progress: Progress, signal: AbortSignal): HubOptions {
  const { HF_ENDPOINT, HF_TOKEN } = process.env;
  return {
    endpoint: (endpoint ?? HF_ENDPOINT ?? HUB).replace(/\/+$/, ''),
    revision,
    ...(file === undefined ? {} : { file }),
    ...(HF_TOKEN === undefined || HF_TOKEN === '' ? {} : { token: HF_TOKEN }),
    signal,
    onFile: (name, index, count, bytes) => progress.note(`fetching ${oneLine(name)} (${index + 1} of ${count}${bytes === null ? '' : `, ${grouped(bytes)} bytes`})`),
  };
}
