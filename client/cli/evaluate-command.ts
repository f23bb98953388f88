import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Preset, PRESETS } from '../../model/inr/plan.js';
import { writeAtomically } from '../../model/runtime/durable.node.js';
import { checkOutput } from '../../model/video/output.node.js';
import { CAPTION_BEAMS } from '../../projector/captions.js';
import type { Models } from '../../projector/library/models.js';
import { positiveSeconds, wholeNumber } from './arguments.js';
import { beamsOption, maxTokensOption, packOption, threadsOption } from './common-options.js';
import { evaluatePackCommand } from './evaluate-pack-command.js';
import { type Answerer, LocalAnswerer, ServerAnswerer } from './evaluate/answerers.js';
import { CAPTION_FORMATS, QUESTION_FORMATS } from './evaluate/formats/index.js';
import { type Item, readItems, type Task } from './evaluate/items.js';
import { type Judge, judgeAll, judgementText, judgeOf } from './evaluate/judge.js';
import { predict, type Predictions, predictionsFrom } from './evaluate/predict.js';
import { reportJson, scoreTable } from './evaluate/report.js';
import { retrievalCommand } from './evaluate/retrieval-command.js';
import { parseRows, type Row, ROWS } from './evaluate/rows.js';
import { scoreRows } from './evaluate/scores.js';
import { type Pictures, SourceViews } from './evaluate/views.js';
import { UserError } from './failure.js';
import { interruptible } from './interrupt.js';
import { openModels } from './models.js';
import { print } from './surroundings.js';
import { duration, Progress } from './terminal.js';

interface EvaluateOptions {
  readonly format?: string;
  readonly media?: string;
  readonly split?: string;
  readonly predictions?: string;
  readonly out?: string;
  readonly report?: string;
  readonly html?: string;
  readonly limit?: number;
  readonly prompt?: string;
  readonly rows?: readonly Row[];
  readonly containers?: string;
  readonly preset: Preset;
  readonly seconds?: number;
  readonly server?: string;
  readonly judgeUrl?: string;
  readonly judgeModel?: string;
  readonly pack?: string;
  readonly threads: number;
  readonly beams: number;
  readonly maxTokens: number;
}

/** The judge's key, where it wants one: an argument could be read by every user of the machine. */
const JUDGE_KEY = 'LATENTCHAT_JUDGE_KEY';

const ROWS_HELP = `
Each item is answered in up to four ways, the rows of the table:
  latents  from its latents, quantised, written to a .linr container and read back
  raw      from the vision tower's features of the original frames, as they come
  decoded  from the tower's features of the frames that the container decodes to
  none     from no video at all: what the language model would say anyway
By default containers and videos get all four and photos all but decoded: for that row a video or photo must first be trained (see --preset),
and its latents are then the trained ones. A container gets raw only where the data names its "original".
`;

export function evaluateCommand(): Command {
  const captions = task('captions', 64, CAPTION_BEAMS)
    .description('Score captions of videos, photos or containers against references: BLEU, ROUGE-L, CIDEr-D.')
    .argument('<data>', '.jsonl lines {"id","source","references":[...]}, a .tsv of image and caption with the photos in images/ beside it, or a file of --format')
    .addOption(new Option('--format <name>', 'published format of the data').choices(CAPTION_FORMATS))
    .option('--split <name>', 'part of the published set, such as test (default: all)')
    .option('--prompt <text>', "what to ask of each (default: the model pack's own question for a caption)")
    .addHelpText('after', `${ROWS_HELP}\nEvery score equals pycocoevalcap's; CIDEr-D is on its scale, where 0.40 is what papers print as 40. METEOR is left out:\nits tables are too large to come with this program.`)
    .action((data: string, options: EvaluateOptions) => evaluate('captions', data, options));
  const questions = task('qa', 32, 1)
    .description('Score answers to questions about videos, photos or containers: exact match and VQA accuracy after normalisation.')
    .argument('<data>', '.jsonl lines {"id","source","question","answers":[...],"type"?,"choices"?:[...]}, or a file of --format')
    .addOption(new Option('--format <name>', 'published format of the data').choices(QUESTION_FORMATS))
    .option('--prompt <text>', 'what to ask; {question} in it stands for the question (default: {question})')
    .addHelpText('after', `${ROWS_HELP}\nA question with choices is answered by the one that video and question make likelier most. Intervals are bootstrap 95%.`)
    .action((data: string, options: EvaluateOptions) => evaluate('qa', data, options));
  return new Command('evaluate').description('Score captions, answers or search against what people wrote, or a whole model pack.').addCommand(captions).addCommand(questions).addCommand(retrievalCommand()).addCommand(evaluatePackCommand());
}

function task(name: Task, maxTokens: number, beams: number): Command {
  return new Command(name)
    .option('--media <folder>', 'where the videos or photos of --format lie (default: videos, images or gifs beside the data)')
    .addOption(new Option('--predictions <file>', 'score these .jsonl lines instead of asking the model').conflicts(['out', 'server', 'rows']))
    .option('--out <file>', 'keep what the model says beside the references, one JSON object a line; what it already has is not done again')
    .option('--report <file>', 'write every figure as JSON')
    .option('--html <file>', 'write table, histograms, best and worst examples as one HTML file')
    .addOption(new Option('--limit <n>', 'only the first n').argParser(wholeNumber(1, 1e9)))
    .addOption(new Option('--rows <list>', `rows to run, of ${ROWS.join(', ')} (default: see below)`).argParser(rowList))
    .option('--containers <folder>', 'where containers encoded for the decoded row are kept (default: beside --out, else nowhere)')
    .addOption(new Option('--preset <name>', 'how they are encoded').choices(PRESETS).default('draft'))
    .addOption(new Option('--seconds <s>', "time for each (default: the preset's)").argParser(positiveSeconds))
    .addOption(new Option('--server <url>', 'ask a running latentchat server instead of a model here; rows latents and none').conflicts(['pack', 'containers']))
    .option('--judge-url <url>', `also have an OpenAI-compatible server judge each text, such as http://127.0.0.1:8000/v1; key in ${JUDGE_KEY}`)
    .option('--judge-model <name>', 'model of the judge')
    .addOption(beamsOption(beams))
    .addOption(maxTokensOption(maxTokens))
    .addOption(packOption())
    .addOption(threadsOption());
}

function rowList(value: string): Row[] {
  const rows = parseRows(value);
  if (rows === null || rows.length === 0) throw new InvalidArgumentError(`It must be some of ${ROWS.join(', ')}, with commas between.`);
  return rows;
}

async function evaluate(task: Task, dataFile: string, options: EvaluateOptions): Promise<void> {
  for (const file of [options.out, options.report, options.html]) if (file !== undefined) await checkOutput(file);
  const judge = judgeFrom(options);
  const items = await readItems(task, dataFile, options);
  const kept = options.out === undefined ? 'Nothing was kept; with --out the next run goes on from here.' : `What was said so far is in ${options.out}; the same command goes on from there.`;
  const interrupt = interruptible(kept);
  const progress = new Progress();
  const work = await WorkFolder.open(options);
  let answerer: Answerer | null = null;
  try {
    if (options.predictions === undefined) answerer = await openAnswerer(task, options, work.path);
    const said = answerer === null ? await predictionsFrom(options.predictions ?? '', task, items) : await ask(task, items, answerer, options, progress, interrupt.signal);
    const rows = scoreRows(task, items, said);
    const verdicts = options.out === undefined ? null : `${options.out}.verdicts.jsonl`;
    const judgement = judge === null ? null : await judgeAll(judge, task, items, said, { out: verdicts, progress, signal: interrupt.signal });
    progress.clear();

    const title = `${items.length} ${task === 'captions' ? 'captions' : 'answers'} of ${path.basename(dataFile)}`;
    print(`${title}${suffix(said.origin)}\n${scoreTable(rows)}\n${judgement === null ? '' : `\n${judgementText(judgement)}\n`}`);
    if (options.report !== undefined) {
      const facts = { task, data: dataFile, ...(options.format === undefined ? {} : { format: options.format }), count: items.length, ...said.origin };
      await writeAtomically(options.report, reportJson(facts, rows, judgement));
    }
    if (options.html !== undefined) {
      const { htmlReport } = await import('./evaluate/html.js');
      const models = await openModels(options);
      const pictures = (item: Item, count: number): Promise<Pictures> => picturesOf(item, count, answerer, models, options, work.path, interrupt.signal);
      try {
        await writeAtomically(options.html, await htmlReport({ task, title, facts: factsOf(said.origin), items, rows, judge: judgement, pictures }));
      } finally {
        await models.release();
      }
    }
  } finally {
    progress.clear();
    interrupt.dispose();
    await answerer?.release();
    await work.remove();
  }
}

function judgeFrom({ judgeUrl, judgeModel }: EvaluateOptions): Judge | null {
  if (judgeUrl === undefined && judgeModel === undefined) return null;
  if (judgeUrl === undefined || judgeModel === undefined) throw new UserError('A judge needs both --judge-url and --judge-model.');
  return judgeOf(judgeUrl, judgeModel, process.env[JUDGE_KEY]);
}

async function openAnswerer(task: Task, options: EvaluateOptions, containers: string): Promise<Answerer> {
  const shared = { task, beams: options.beams, maxTokens: options.maxTokens, rows: options.rows ?? null };
  if (options.server !== undefined) return ServerAnswerer.open(options.server, shared);
  return new LocalAnswerer(await openModels(options), { ...shared, ...viewOptions(options, containers) });
}

function ask(task: Task, items: readonly Item[], answerer: Answerer, options: EvaluateOptions, progress: Progress, signal: AbortSignal): Promise<Predictions> {
  const { prompt, server, preset, seconds, beams, maxTokens } = options;
  // In this order: what is undefined leaves no trace in a run's mark.
  const settings = { prompt, server, encode_preset: preset, encode_seconds: seconds, beams, max_tokens: maxTokens };
  return predict(items, answerer, { task, out: options.out ?? null, settings, progress, signal });
}

function viewOptions({ preset, seconds }: EvaluateOptions, containers: string): { containers: string; preset: Preset; seconds?: number } {
  return { containers, preset, ...(seconds === undefined ? {} : { seconds }) };
}

/** What an example shows; a video that is not here any more shows nothing. */
async function picturesOf(
  item: Item,
  count: number,
  answerer: Answerer | null,
  models: Models,
  options: EvaluateOptions,
  containers: string,
  signal: AbortSignal,
): Promise<Pictures> {
  const views = answerer instanceof LocalAnswerer ? await answerer.views(item) : new SourceViews(item, { decoded: false, moments: false }, models, viewOptions(options, containers));
  return views.pictures(count, signal).catch(() => {
    signal.throwIfAborted();
    return { frames: [], decoded: false };
  });
}

/** Where containers go: the folder that is named, one beside --out, or one that is removed at the end. */
class WorkFolder {
  private constructor(
    readonly path: string,
    private readonly temporary: boolean,
  ) {}

  static async open({ containers, out }: EvaluateOptions): Promise<WorkFolder> {
    const kept = containers ?? (out === undefined ? undefined : `${out}.containers`);
    return kept === undefined ? new WorkFolder(await mkdtemp(path.join(tmpdir(), 'latentchat-evaluate-')), true) : new WorkFolder(kept, false);
  }

  async remove(): Promise<void> {
    if (this.temporary) await rm(this.path, { recursive: true, force: true });
  }
}

function suffix({ pack, seconds }: Predictions['origin']): string {
  return typeof pack === 'string' && typeof seconds === 'number' ? `, pack ${pack}, ${duration(seconds)}` : '';
}

function factsOf(origin: Predictions['origin']): [string, string][] {
  return Object.entries(origin).flatMap(([name, value]): [string, string][] => {
    if (value === undefined || name === 'answered') return [];
    return [[name === 'seconds' ? 'time' : name.replaceAll('_', ' '), name === 'seconds' && typeof value === 'number' ? duration(value) : String(value)]];
  });
}
