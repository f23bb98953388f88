import { Command, Option } from 'commander';
import { writeAtomically } from '../../../model/runtime/durable.node.js';
import { checkOutput } from '../../../model/video/output.node.js';
import { wholeNumber } from '../arguments.js';
import { packOption, threadsOption } from '../common-options.js';
import { interruptible } from '../interrupt.js';
import { type ModelOptions, openModels } from '../models.js';
import { print } from '../surroundings.js';
import { Progress } from '../terminal.js';
import { readItems } from './items.js';
import { captionedPhotos, evaluateMoments, evaluateRetrieval, type Recalls } from './retrieval.js';

interface RetrievalOptions extends ModelOptions {
  readonly limit?: number;
  readonly clips: number;
  readonly report?: string;
}

export function retrievalCommand(): Command {
  return new Command('retrieval')
    .description('Score search: photos found by their captions, captions by their photos, and scenes of made clips by their captions.')
    .argument('<data>', '.jsonl lines {"id","source","references":[...]} or a .tsv of image and caption with the photos in images/ beside it')
    .addOption(new Option('--limit <n>', 'only the first n photos').argParser(wholeNumber(1, 1e9)))
    .addOption(new Option('--clips <n>', 'clips to make of the photos; 0: none').argParser(wholeNumber(0, 100_000)).default(100))
    .option('--report <file>', 'write every figure as JSON')
    .addOption(packOption())
    .addOption(threadsOption())
    .addHelpText(
      'after',
      `
All latents are written to .linr containers and read back. A clip is two or three photos one after the other with cuts between, each two to six seconds
of a window that pans and zooms; a moment is found when it overlaps the scene by more than half (temporal intersection over union).`,
    )
    .action(evaluate);
}

async function evaluate(data: string, options: RetrievalOptions): Promise<void> {
  if (options.report !== undefined) await checkOutput(options.report);
  const items = await readItems('captions', data, options.limit === undefined ? {} : { limit: options.limit });
  const photos = captionedPhotos(items);
  const interrupt = interruptible('Nothing was kept.');
  const progress = new Progress();
  const models = await openModels(options);
  try {
    const shared = { progress, signal: interrupt.signal };
    const scores = await evaluateRetrieval(models, photos, shared);
    const moments = options.clips === 0 ? null : await evaluateMoments(models, photos, { ...shared, clips: options.clips });
    progress.clear();
    const row = (name: string, { r1, r5, r10 }: Recalls): string => `${name.padEnd(16)}${[r1, r5, r10].map((share) => percent(share).padStart(8)).join('')}`;
    const lines = [
      `${scores.photos} photos, ${scores.captions} captions, pack ${models.pack.manifest.id}`,
      `${' '.repeat(16)}${['R@1', 'R@5', 'R@10'].map((title) => title.padStart(8)).join('')}`,
      row('text to photo', scores.text_to_photo),
      row('photo to text', scores.photo_to_text),
      ...(moments === null
        ? []
        : [
            '',
            `${moments.clips} clips of 2 or 3 scenes, ${moments.moments} captions looked for: overlap above 0.5 in ${percent(moments.found)}%, mean overlap ` +
              `${moments.overlap.toFixed(3)} (thirds of the clip instead of found extents: ${percent(moments.thirds)}%)`,
          ]),
    ];
    print(`${lines.join('\n')}\n`);
    if (options.report !== undefined) await writeAtomically(options.report, `${JSON.stringify({ data, pack: models.pack.manifest.id, retrieval: scores, moments }, null, 2)}\n`);
  } finally {
    progress.clear();
    interrupt.dispose();
    await models.release();
  }
}

const percent = (share: number): string => (100 * share).toFixed(1);
