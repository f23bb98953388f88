/** A training from data lines to a new pack: latents, steps with checkpoints, the pack's files, and an evaluation with the new pack itself. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ChatTemplate, LanguageModel, TextTokenizer } from '../../../model/language/index.js';
import { type Adapter, readDecoderWeights } from '../../../model/language/weights.js';
import { type ModelPack, type TensorFile, writeSafetensors } from '../../../model/pack/index.js';
import { PackWriter } from '../../../model/pack/write.node.js';
import { writeAtomically } from '../../../model/runtime/durable.node.js';
import { decodeFloat16 } from '../../../model/runtime/float16.js';
import { captionOnce } from '../../../projector/ask.js';
import { CAPTION_BEAMS, projectorShapes, type VideoPart } from '../../../projector/index.js';
import { openAskable } from '../../../projector/library/askable.node.js';
import type { Models } from '../../../projector/library/models.js';
import { type Example, makeExample, planBatches } from '../../../projector/training/batch.js';
import { ProjectorTrainer } from '../../../projector/training/trainer.js';
import { type CaptionScores, scoreCaptions } from '../../metrics/captions.js';
import type { CaptionDatum } from '../evaluate/data.js';
import { UserError } from '../failure.js';
import { idField } from '../json-lines.js';
import { openModels } from '../models.js';
import type { Progress } from '../terminal.js';
import { TrainingCheckpoint } from './checkpoint.js';

export interface TrainingRun {
  readonly out: string;
  /** The data file, for the manifest and the checkpoint. */
  readonly dataName: string;
  readonly minutes: number;
  readonly rank: number;
  readonly batch: number;
  /** Lines that are evaluated instead of trained on. */
  readonly heldOut: number;
  readonly question: string;
  readonly threads: number;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

export interface TrainingReport {
  readonly id: string;
  readonly steps: number;
  readonly trained: number;
  readonly heldOut: number;
  /** Nats a token on the held-out lines. */
  readonly loss: { readonly before: number; readonly after: number };
  readonly scores: CaptionScores;
}

/** Seconds between checkpoints: a kill costs at most this. */
const CHECKPOINT_SECONDS = 120;
/** Weight of the newest step in the loss that is shown: single batches differ much. */
const SHOWN_SHARE = 0.1;
const MAX_CAPTION_TOKENS = 40;

export async function runTraining(models: Models, items: readonly CaptionDatum[], run: TrainingRun): Promise<TrainingReport> {
  const { pack } = models;
  const { manifest } = pack;
  const { signal, progress } = run;
  if (manifest.projector.video !== undefined) {
    throw new UserError(`Pack ${manifest.id} has Video-LLaMA's projector, which reads videos as a whole; projectors that read frame by frame can be trained here.`);
  }
  const writer = await PackWriter.create(run.out);
  const [kept, heldOut] = split(items, run.heldOut);
  const facts = {
    pack: manifest.id,
    packFiles: createHash('sha256').update(JSON.stringify(manifest.files)).digest('hex'),
    data: createHash('sha256').update(await readFile(run.dataName)).digest('hex'),
    rank: run.rank,
    batch: run.batch,
    heldOut: run.heldOut,
    question: run.question,
  };
  try {
    const checkpoint = await TrainingCheckpoint.open(`${run.out}.checkpoint`, facts);
    const videos = await readLatents(models, items, checkpoint, run);
    const { trainer, examples } = await prepare(pack, models, videos, items, run);
    const of = (data: readonly CaptionDatum[]): Example[] => data.map(({ id }) => examples.get(id) as Example);
    const [training, scored] = [of(kept), of(heldOut)];
    const resumed = await checkpoint.resume(trainer);
    const before = resumed?.before ?? (await trainer.loss(scored, signal));
    progress.note(`loss on ${heldOut.length} held-out lines: ${before.toFixed(3)} nats a token${resumed === null ? '' : ' before training'}`);
    await trainFor(trainer, training, checkpoint, { seconds: resumed?.seconds ?? 0, before }, run);
    const after = await trainer.loss(scored, signal);
    progress.note(`loss on ${heldOut.length} held-out lines: ${after.toFixed(3)} nats a token`);

    const { projector, adapter } = trainer.files();
    const rank = [...adapter.values()][0]?.dims[1] as number;
    for (const name of Object.keys(manifest.files)) {
      if (name !== 'projector.safetensors' && name !== 'adapter.safetensors' && name !== 'MODEL_CARD.md') await writer.write(name, await pack.bytes(name));
    }
    await writer.write('projector.safetensors', writeSafetensors(projector));
    await writer.write('adapter.safetensors', writeSafetensors(adapter));
    const { steps } = trainer;
    await trainer.release();
    await models.release();
    const isOurs = (entry: unknown): boolean => typeof entry === 'object' && entry !== null && 'part' in entry && /projector|adapter/.test(String(entry.part));
    const written = await writer.finish({
      ...manifest,
      id: `${manifest.id.replace(/-trained-[0-9a-f]{8}$/, '')}-trained-${facts.data.slice(0, 8)}`,
      adapter: { rank },
      projector: { hidden: manifest.projector.hidden },
      licences: [...manifest.licences.filter((entry) => !isOurs(entry) || /latent map/.test(JSON.stringify(entry))), { part: 'projector, adapter', origin: `trained on ${path.basename(run.dataName)}; its terms are those of that data` }],
      sources: [...manifest.sources, { part: 'projector and adapter', from: `pack ${manifest.id}`, data: path.basename(run.dataName), sha256: facts.data }],
      measured: { training: { minutes: run.minutes, steps, lines: kept.length, held_out_loss_before: before, held_out_loss: after } },
    });
    const scores = await evaluate(heldOut, videos, run);
    const file = path.join(run.out, 'pack.json');
    const measured = { ...(written.measured as object), held_out: { lines: heldOut.length, beams: CAPTION_BEAMS, bleu4: scores.bleu4, cider_d: scores.cider_d } };
    await writeAtomically(file, `${JSON.stringify({ ...written, measured }, null, 2)}\n`);
    await checkpoint.remove();
    return { id: written.id, steps, trained: kept.length, heldOut: heldOut.length, loss: { before, after }, scores };
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

/** The lines whose ids' digests come first are held out: the same ones whatever the order of the file. */
function split(items: readonly CaptionDatum[], count: number): [CaptionDatum[], CaptionDatum[]] {
  const held = Math.min(count, items.length - 1);
  const digest = ({ source }: CaptionDatum): string => createHash('sha256').update(source).digest('hex');
  const ordered = [...items].sort((a, b) => (digest(a) < digest(b) ? -1 : 1));
  return [ordered.slice(held), ordered.slice(0, held)];
}

/** Latents of every line's video, from the checkpoint where they are there already. */
async function readLatents(models: Models, items: readonly CaptionDatum[], checkpoint: TrainingCheckpoint, { signal, progress }: TrainingRun): Promise<Map<string, VideoPart>> {
  const { dim } = models.pack.manifest.latent;
  const videos = new Map<string, VideoPart>();
  for (const line of checkpoint.latents.earlier) {
    const id = idField(line, checkpoint.latents.file);
    videos.set(id, { type: 'video', id, latents: Float32Array.from(line['latents'] as number[]), dim, times_s: line['times_s'] as number[], version: '1' });
  }
  for (const [done, { id, file, source }] of items.entries()) {
    progress.update({ label: 'reading', done, total: items.length, unit: 'videos' });
    if (videos.has(id)) continue;
    signal.throwIfAborted();
    if (source.startsWith('video://')) throw new UserError(`${source} is a server's video; training reads files. Export it first.`);
    const { video } = await openAskable(file, models, { signal });
    videos.set(id, { ...video, id });
    await checkpoint.latents.append({ id, times_s: [...video.times_s], latents: [...video.latents] });
  }
  progress.update({ label: 'reading', done: items.length, total: items.length, unit: 'videos' });
  return videos;
}

/** The trainer at the pack's own projector and adapter, and the data as examples. */
async function prepare(pack: ModelPack, models: Models, videos: ReadonlyMap<string, VideoPart>, items: readonly CaptionDatum[], run: TrainingRun): Promise<{ trainer: ProjectorTrainer; examples: Map<string, Example> }> {
  const { language, latent, projector, prompt, files, adapter } = pack.manifest;
  const tokenizer = new TextTokenizer(await pack.text('tokenizer.json'));
  const template = new ChatTemplate(await pack.text('chat_template.jinja'), { bos: tokenizer.tokenOf(language.bos) ?? '', eos: tokenizer.tokenOf(language.eos) ?? '' });
  const context = { tokenizer, template, prompt, tokensPerFrame: latent.tokens };
  const examples = new Map<string, Example>();
  for (const { id, references, source } of items) {
    const example = makeExample(videos.get(id) as VideoPart, run.question, references, tokenizer, context);
    if (example.answers.length === 0) throw new UserError(`${source}: its captions are empty.`);
    examples.set(id, example);
  }
  const adapterFile = adapter === undefined ? null : await pack.tensors('adapter.safetensors');
  const shards = await Promise.all(Object.keys(files).filter((file) => LanguageModel.shards.test(file)).map((file) => pack.tensors(file)));
  const weights = readDecoderWeights(language, shards, await pack.tensors('embedding.safetensors'), null);
  const adapted = adapterFile === null ? null : readDecoderWeights(language, shards, await pack.tensors('embedding.safetensors'), adapterFile);
  const plan = planBatches([...examples.values()], language, {
    batch: run.batch, rank: adapter?.rank ?? run.rank, latent: latent.dim, tokensPerFrame: latent.tokens, inner: projector.hidden,
  });
  const shape = { latent: latent.dim, tokens: latent.tokens, hidden: language.hidden, inner: projector.hidden };
  const start = {
    projector: projectorValues(await pack.tensors('projector.safetensors'), shape),
    ...(adapted === null ? {} : { adapters: (layer: number, name: 'qkv' | 'o' | 'gate_up' | 'down'): Adapter | null => adapted.layers[layer]?.linears[name].adapter ?? null }),
  };
  return { trainer: await ProjectorTrainer.create(weights, plan, shape, start, models.runtime, pack.manifest.id), examples };
}

function projectorValues(tensors: TensorFile, shape: Parameters<typeof projectorShapes>[0]): Map<string, Float32Array> {
  return new Map(Object.entries(projectorShapes(shape)).map(([name, dims]) => [name, decodeFloat16(tensors.get(name, dims).data as Uint16Array)]));
}

/** Steps until the time is used up, with what earlier runs have trained counted in. */
async function trainFor(trainer: ProjectorTrainer, examples: readonly Example[], checkpoint: TrainingCheckpoint, from: { readonly seconds: number; readonly before: number }, run: TrainingRun): Promise<void> {
  const { signal, progress } = run;
  const budget = run.minutes * 60;
  let seconds = from.seconds;
  let saved = seconds;
  let shown = NaN;
  const save = (): Promise<void> => checkpoint.save(trainer, { steps: trainer.steps, seconds, before: from.before });
  while (seconds < budget) {
    if (signal.aborted) {
      await save();
      signal.throwIfAborted();
    }
    const started = performance.now();
    const loss = await trainer.step(examples, seconds / budget);
    seconds += (performance.now() - started) / 1000;
    if (!Number.isFinite(loss)) throw new UserError(`The loss became ${loss} at step ${trainer.steps}; the training cannot go on. Remove ${run.out}.checkpoint and try a smaller --rank or other data.`);
    shown = Number.isNaN(shown) ? loss : (1 - SHOWN_SHARE) * shown + SHOWN_SHARE * loss;
    progress.update({ label: 'training', done: Math.min(seconds, budget), total: budget, unit: 's', detail: `step ${trainer.steps}, loss ${shown.toFixed(3)}`, eta_s: budget - seconds });
    if (seconds - saved >= CHECKPOINT_SECONDS) {
      await save();
      saved = seconds;
    }
    // A step holds the thread: a signal gets its turn here.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await save();
}

/** Captions of the held-out lines by the new pack, as a user of it would get them. */
async function evaluate(items: readonly CaptionDatum[], videos: ReadonlyMap<string, VideoPart>, { out, question, threads, signal, progress }: TrainingRun): Promise<CaptionScores> {
  const models = await openModels({ pack: out, threads });
  try {
    const captions: { caption: string; references: readonly string[] }[] = [];
    for (const { id, references } of items) {
      progress.update({ label: 'evaluating', done: captions.length, total: items.length, unit: 'captions' });
      const { text } = await captionOnce(models, videos.get(id) as VideoPart, question, { maxTokens: MAX_CAPTION_TOKENS, signal });
      captions.push({ caption: text, references });
    }
    return scoreCaptions(captions);
  } finally {
    await models.release();
  }
}
