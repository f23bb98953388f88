/** `latentchat reproduce`: the tables and figures of Latent-INR's paper, one command each. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Preset, PRESETS } from '../../model/inr/plan.js';
import { listOf, pixelSize, type PixelSize, positiveNumber, positiveSeconds, wholeNumber } from './arguments.js';
import { packOption, threadsOption } from './common-options.js';
import { aligned } from './evaluate/report.js';
import { interruptible } from './interrupt.js';
import { openModels } from './models.js';
import { STUDY_FACTS, type StudyFacts, type StudyName } from './reproduce/facts.js';
import { print } from './surroundings.js';
import { duration, Progress } from './terminal.js';

interface ReproduceOptions {
  readonly videos?: string;
  readonly retrieval?: string;
  readonly out: string;
  readonly seconds: number;
  readonly clipSeconds: number;
  readonly size: PixelSize;
  readonly frames?: number;
  readonly limit: number;
  readonly classes: readonly string[];
  readonly rates: readonly number[];
  readonly preset: Preset;
  readonly pack?: string;
  readonly threads: number;
}

/** What captions of photos often name, one at a time. */
const CLASSES = ['dog', 'beach', 'snow', 'bike', 'grass', 'street', 'horse', 'skateboard', 'football', 'pool', 'mountain', 'rock'];
const RATES = [0.2, 0.4, 0.8];

export function reproduceCommand(): Command {
  const reproduce = new Command('reproduce')
    .description("Make the tables and figures of Latent-INR's paper again, on videos and texts of your own: a table, a CSV file and a plot each.")
    .addHelpText('after', '\nWhat they printed on the data at hand, beside what the paper says: docs/reproduction.md.');
  for (const [name, facts] of Object.entries(STUDY_FACTS)) reproduce.addCommand(studyCommand(name as StudyName, facts));
  return reproduce;
}

function studyCommand(name: StudyName, { title, help, needs }: StudyFacts): Command {
  const command = new Command(name).description(title).requiredOption('--out <folder>', `where ${name}.csv, ${name}.svg, what is done so far and the encoded containers go`);
  const shared = needs.includes('videos') ? videoOptions(command) : retrievalOptions(command);
  if (name === 'figure3') shared.addOption(new Option('--rates <list>', 'bits per pixel that ours, NeRV and HNeRV are made for').argParser(listOf(positiveNumber(24))).default(RATES, RATES.join(',')));
  return shared
    .addOption(new Option('--size <WxH>', 'encoded size in pixels; pictures are stretched to it').argParser(pixelSize).default({ width: 320, height: 160 }, '320x160'))
    .addOption(new Option('--frames <n>', 'only the first n frames of each video (default: all)').argParser(wholeNumber(4, 18_000)))
    .addOption(new Option('--preset <name>', 'preset of the encoder').choices(PRESETS).default('standard'))
    .addOption(packOption())
    .addOption(threadsOption())
    .addHelpText('after', `\n${help}\n\nSeconds are counted in processor time over --threads: on a busy machine it takes longer and gives the same.\nEach result is kept in --out as soon as it is there. Ctrl+C stops; the same command goes on from there, and other options begin anew beside it.`)
    .action((options: ReproduceOptions) => run(name, options));
}

function videoOptions(command: Command): Command {
  return command
    .requiredOption('--videos <folder>', 'folder of videos, or one video')
    .addOption(new Option('--seconds <s>', 'seconds of each encoding, and of each training of a network it is compared with (see below)').argParser(positiveSeconds).default(60));
}

function retrievalOptions(command: Command): Command {
  return command
    .requiredOption('--retrieval <file>', '.jsonl lines {"id","source","references":[...],"class"?,"segments"?:[{"start_s","end_s","text"}]} of videos or photos, or a .tsv of photos as Flickr8k\'s; photos become clips of a window that pans and zooms over them')
    .addOption(new Option('--clip-seconds <s>', 'seconds of each encoding (see below)').argParser(positiveSeconds).default(8))
    .addOption(new Option('--limit <n>', 'only the first n lines or photos').argParser(wholeNumber(2, 1e9)).default(40))
    .addOption(new Option('--classes <list>', 'table3: words that are a class of a clip where more than half of its texts name one of them, and no other').argParser(wordList).default(CLASSES, CLASSES.join(',')));
}

function wordList(value: string): string[] {
  const words = value.split(',').map((word) => word.trim());
  if (!words.every((word) => /^[\p{L}-]+$/u.test(word))) throw new InvalidArgumentError('It must be words with commas between.');
  return words;
}

async function run(name: StudyName, options: ReproduceOptions): Promise<void> {
  const { out, videos, retrieval, limit, classes, size, preset, threads, rates = RATES, seconds = 0, clipSeconds = 0, frames = null } = options;
  const interrupt = interruptible(`What is done so far is in ${out}; the same command goes on from there.`);
  const progress = new Progress();
  const models = await openModels(options);
  try {
    const [{ STUDIES }, { runStudy }, { readVideos }, { readRetrievalSet }] = await Promise.all([
      import('./reproduce/studies/index.js'), import('./reproduce/run.js'), import('./reproduce/videos.js'), import('./reproduce/retrieval-set.js'),
    ]);
    const context = {
      models,
      settings: { seconds, clipSeconds, size, frames, preset, threads, rates },
      videos: videos === undefined ? [] : await readVideos(videos, frames),
      retrieval: retrieval === undefined ? null : await readRetrievalSet(retrieval, { limit, classes, frames }),
    };
    const { report, csv, svg, done, kept, took_s, processor_s } = await runStudy(STUDIES[name], context, { out, progress, signal: interrupt.signal });
    progress.clear();
    const tables = report.tables.map(({ caption, rows }) => [caption, ...aligned(rows)].join('\n'));
    const gone = kept === 0 ? '' : `; ${kept} were there`;
    const facts = `${done} ${done === 1 ? 'cell' : 'cells'} done in ${duration(took_s)} (${duration(processor_s)} of processor time)${gone}. ${csv} ${svg}`;
    print(`${[STUDY_FACTS[name].title, ...tables, facts].join('\n\n')}\n`);
  } finally {
    progress.clear();
    interrupt.dispose();
    await models.release();
  }
}
