/** `latentchat evaluate pack`: what a model pack is worth, in one table. */
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { writeAtomically } from '../../model/runtime/durable.node.js';
import { checkOutput } from '../../model/video/output.node.js';
import { wholeNumber } from './arguments.js';
import { packOption, threadsOption } from './common-options.js';
import { namedRow, type PackRow, type PackSection, packTable, type SectionContext, SECTIONS, VIDEO_QUESTIONS, videoAnswers, videosText } from './evaluate/pack/index.js';
import { UserError } from './failure.js';
import { interruptible } from './interrupt.js';
import { openModels } from './models.js';
import { print } from './surroundings.js';
import { Progress } from './terminal.js';

interface EvaluatePackOptions {
  readonly data?: string;
  readonly questions?: string;
  readonly clips?: string;
  readonly classes?: string;
  readonly dialogues?: string;
  readonly videos?: string;
  readonly rows?: readonly PackSection[];
  readonly limit?: number;
  readonly out?: string;
  readonly report?: string;
  readonly pack?: string;
  readonly threads: number;
}

/** Files of --data, as the recipe reads and writes them. */
const CAPTIONS_FILE = 'dev.tsv';
const QUESTIONS_FILE = 'questions.jsonl';

export function evaluatePackCommand(): Command {
  return new Command('pack')
    .description('Measure a model pack: captions, questions, clips, text-only chat, speed.')
    .option('--data <folder>', `folder with ${CAPTIONS_FILE} (columns image, caption) and the photos in images/; ${QUESTIONS_FILE} in it is read as well`)
    .option('--questions <file>', '.jsonl lines as `evaluate qa` reads them, with types, scenes and moments; `recipe.py --steps evaluation` writes them')
    .option('--clips <file>', '.jsonl lines of real clips with captions, as `evaluate captions` reads them; `recipe.py --steps evaluation` writes them')
    .option('--classes <file>', '.jsonl lines of frames and words for what they show, as `evaluate captions` reads them; `recipe.py --steps evaluation` writes them')
    .option('--dialogues <file>', '.jsonl lines of conversations and what their last answers must match; `recipe.py --steps evaluation` writes them')
    .option('--videos <folder>', `also write down what the pack says about each video in it, and count those named right where it has a names.tsv (columns file, must, animals): a caption, and to "${VIDEO_QUESTIONS.join('", "')}"`)
    .addOption(new Option('--rows <list>', `groups of rows, of ${SECTIONS.map(({ name }) => name).join(', ')} (default: all that the data allows)`).argParser(sectionList))
    .addOption(new Option('--limit <n>', 'only the first n of each kind, for a quick look').argParser(wholeNumber(1, 1e9)))
    .option('--out <folder>', 'keep what the model says; what is there already is not done again')
    .option('--report <file>', 'write the table as JSON')
    .addOption(packOption())
    .addOption(threadsOption())
    .addHelpText('after', `\nGroups of rows:\n${SECTIONS.map(({ name, help }) => `  ${name.padEnd(10)} ${help}`).join('\n')}\n\nThe column "no video" is the same asked of the model without a video, or chance where it has to choose.`)
    .action(evaluatePack);
}

function sectionList(value: string): PackSection[] {
  const names = value.split(',').map((name) => name.trim());
  const sections = SECTIONS.filter(({ name }) => names.includes(name));
  if (sections.length === 0 || sections.length !== new Set(names).size) {
    throw new InvalidArgumentError(`It must be some of ${SECTIONS.map(({ name }) => name).join(', ')}, with commas between.`);
  }
  return sections;
}

async function evaluatePack(options: EvaluatePackOptions): Promise<void> {
  if (options.report !== undefined) await checkOutput(options.report);
  if (options.out !== undefined) await mkdir(options.out, { recursive: true });
  const interrupt = interruptible(options.out === undefined ? 'Nothing was kept; with --out the next run goes on from here.' : `What was said so far is in ${options.out}; the same command goes on from there.`);
  const progress = new Progress();
  const models = await openModels(options);
  const { data, out } = options;
  const context: SectionContext = {
    models,
    captions: data === undefined ? null : await existing(path.join(data, CAPTIONS_FILE)),
    clips: options.clips ?? null,
    classes: options.classes ?? null,
    dialogues: options.dialogues ?? null,
    questions: options.questions ?? (data === undefined ? null : await existing(path.join(data, QUESTIONS_FILE))),
    limit: options.limit,
    keep: (name) => (out === undefined ? null : path.join(out, name)),
    progress,
    signal: interrupt.signal,
  };
  try {
    const rows: PackRow[] = [];
    // Videos alone need no table.
    const sections = options.rows ?? (data === undefined && options.questions === undefined && options.videos !== undefined ? [] : SECTIONS);
    for (const section of sections) {
      const missing = section.missing(context);
      if (missing === null) rows.push(...(await section.run(context)));
      else if (options.rows === undefined) progress.note(`${section.name} is left out: it ${missing}.`);
      else throw new UserError(`"${section.name}" of --rows ${missing}.`);
    }
    const videos = options.videos === undefined ? null : await videoAnswers(options.videos, context);
    const named = options.videos === undefined || videos === null ? null : await namedRow(options.videos, videos);
    if (named !== null) rows.push(named);
    progress.clear();
    const { id } = models.pack.manifest;
    print([`pack ${id}`, ...(rows.length === 0 ? [] : [packTable(rows)]), ...(videos === null ? [] : [videosText(videos)])].join('\n') + '\n');
    if (options.report !== undefined) await writeAtomically(options.report, `${JSON.stringify({ pack: id, ...(options.limit === undefined ? {} : { limit: options.limit }), rows, ...(videos === null ? {} : { video_questions: VIDEO_QUESTIONS, videos }) }, null, 2)}\n`);
  } finally {
    progress.clear();
    interrupt.dispose();
    await models.release();
  }
}

const existing = async (file: string): Promise<string | null> => ((await stat(file).then((facts) => facts.isFile(), () => false)) ? file : null);
