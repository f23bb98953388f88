/** `latentchat train projector`: what joins a pack's vision tower and language model, learned from captioned videos or photos. */
import { Command, Option } from 'commander';
import { positiveNumber, wholeNumber } from './arguments.js';
import { packOption, threadsOption } from './common-options.js';
import { oneLine, UserError } from './failure.js';
import { interruptible } from './interrupt.js';
import { openModels } from './models.js';
import { grouped, Progress } from './terminal.js';

interface TrainOptions {
  readonly data: string;
  readonly out: string;
  readonly minutes: number;
  readonly pack?: string;
  readonly rank: number;
  readonly batch: number;
  readonly heldOut: number;
  readonly question?: string;
  readonly threads: number;
}

export function trainCommand(): Command {
  const train = new Command('train').description('Train parts of a model pack.');
  const projector = new Command('projector')
    .description("Train a pack's projector and the adapter beside its language model on captioned videos or photos, and write a new pack.")
    .requiredOption('--data <file>', 'JSON lines {"id","source","caption" or "references"}, or a .tsv as Flickr8k\'s; paths are relative to it')
    .requiredOption('--out <folder>', 'the pack to write')
    .addOption(packOption())
    .addOption(new Option('--minutes <n>', 'time to train, without reading the data and the evaluation at the end').argParser(positiveNumber(100_000)).default(60))
    .addOption(new Option('--rank <n>', 'rank of a new adapter; one that the pack has keeps its own').argParser(wholeNumber(1, 256)).default(32))
    .addOption(new Option('--batch <n>', 'videos a step').argParser(wholeNumber(1, 256)).default(8))
    .addOption(new Option('--held-out <n>', 'lines that are not trained on but evaluated at the end (default: a tenth, at most 100)').argParser(wholeNumber(1, 10_000)).default(undefined))
    .option('--question <text>', "what the captions answer (default: the pack's own question)")
    .addOption(threadsOption())
    .addHelpText('after', '\nCtrl+C stops and keeps the training so far in OUT.checkpoint; the same command goes on from there.')
    .action(trainProjector);
  train.addCommand(projector);
  return train;
}

async function trainProjector(options: TrainOptions): Promise<void> {
  const { data, out, minutes, threads, pack, rank, batch, heldOut, question } = options;
  const interrupt = interruptible(`The same command goes on where it stopped, from ${out}.checkpoint.`);
  const progress = new Progress();
  try {
    const [{ readTrainingData }, { runTraining }] = await Promise.all([import('./evaluate/data.js'), import('./train/run.js')]);
    const items = await readTrainingData(data);
    if (items.length < 2) throw new UserError(`${data} has ${items.length} line; at least one to train on and one to evaluate on are needed.`);
    const models = await openModels({ threads, ...(pack === undefined ? {} : { pack }) });
    const report = await runTraining(models, items, {
      out,
      dataName: data,
      minutes,
      rank,
      batch,
      heldOut: heldOut ?? Math.min(100, Math.max(1, Math.round(items.length / 10))),
      question: question ?? models.pack.manifest.prompt.default_question,
      threads,
      signal: interrupt.signal,
      progress,
    });
    progress.clear();
    const { loss, scores } = report;
    process.stdout.write(
      `${oneLine(out)}: pack ${oneLine(report.id)}, ${grouped(report.steps)} steps on ${grouped(report.trained)} lines; ` +
        `held-out ${report.heldOut} lines: loss ${loss.before.toFixed(3)} before, ${loss.after.toFixed(3)} after; ` +
        `BLEU-4 ${scores.bleu4.toFixed(3)}, CIDEr-D ${scores.cider_d.toFixed(3)}\n`,
    );
  } finally {
    progress.clear();
    interrupt.dispose();
  }
}
