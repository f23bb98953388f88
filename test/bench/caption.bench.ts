/**
 * Captions a minute from containers, one at a time and eight side by side, and beside them llama.cpp generating as many tokens after as many, with the
 * weights ours were made from. `npm run bench -- caption [CONTAINERS]`, by default 16.
 *
 * llama.cpp runs where it is installed (llama.ts).
 */
import { runBatch, Slots } from '../../client/cli/batch.js';
import { type CaptionRun, captionSource, type CaptionTask } from '../../client/cli/caption/caption-source.js';
import { madeUpPrompt } from '../../client/cli/evaluate/pack/speed.js';
import type { JsonLine } from '../../client/cli/json-lines.js';
import { ownModels } from '../../client/cli/models.js';
import { Progress } from '../../client/cli/terminal.js';
import { writeContainer } from '../../model/container/index.js';
import { DEFAULT_THREADS } from '../../model/runtime/node.node.js';
import { normal, seededRandom } from '../../model/runtime/random.js';
import { questionMessages } from '../../projector/ask.js';
import { CAPTION_BEAMS } from '../../projector/captions.js';
import type { ChatModel } from '../../projector/index.js';
import type { Models } from '../../projector/library/models.js';
import { sampleContainer } from '../helpers/containers.js';
import { TestFolder } from '../helpers/folder.js';
import { Llama, LLAMA_LEFT_OUT, written } from './llama.js';
import { machine, printTable } from './table.js';

const FRAMES = 16;
const MOST_TOKENS = 64;
const SIDE_BY_SIDE = [1, 8];

/** Containers of videos that differ in every frame, and from those of another `seed`: of their prompts only the beginning is cached. */
async function makeContainers(folder: TestFolder, count: number, models: Models, seed: string): Promise<string[]> {
  const { id, feature_space, latent: { dim } } = models.pack.manifest;
  const { meta } = sampleContainer();
  const random = seededRandom(seed);
  const files: string[] = [];
  for (let i = 0; i < count; i++) {
    const scene = Array.from({ length: dim }, () => normal(random));
    const latents = Float32Array.from({ length: FRAMES * dim }, (_, at) => (scene[at % dim] as number) + 0.2 * normal(random));
    const times_s = Float64Array.from({ length: FRAMES }, (_, frame) => frame / 2);
    const container = { meta: { ...meta, frames: FRAMES, segments: [FRAMES], duration_s: FRAMES / 2, times_s, pack: { id, feature_space } }, latents, latentDim: dim, networks: [null] };
    files.push(await folder.write(`${seed} ${i}.linr`, writeContainer(container)));
  }
  return files;
}

async function captions(models: Models, files: readonly string[], jobs: number, beams: number): Promise<{ seconds: number; lines: JsonLine[] }> {
  const settings = { prompt: null, per: 'video', beams, maxTokens: MOST_TOKENS, temperature: 0, seed: 1 } as const;
  const run: CaptionRun = { models, settings, mark: 'bench', slots: new Slots(jobs) };
  const tasks = files.map((source): CaptionTask => ({ source, server: null, written: [] }));
  const lines: JsonLine[] = [];
  const work = (task: CaptionTask, signal: AbortSignal): AsyncIterable<JsonLine> => captionSource(run, task, signal);
  const silent = new Progress({ write: () => undefined });
  const seconds = await runBatch(tasks, new Array<typeof work>(jobs).fill(work), { unit: 'files', before: 0, progress: silent, signal: new AbortController().signal, append: async (line) => void lines.push(line) });
  const failed = lines.find((line) => line['error'] !== undefined);
  if (failed !== undefined) throw new Error(JSON.stringify(failed));
  return { seconds, lines };
}

/** Tokens of a caption's prompt that no earlier one has. */
async function newPromptTokens(chat: ChatModel, dim: number): Promise<number> {
  let left = 0;
  for (const id of ['first', 'second']) {
    const video = { type: 'video', id, version: '1', dim, latents: new Float32Array(FRAMES * dim).fill(id.length / 10), times_s: Array.from({ length: FRAMES }, (_, i) => i / 2) } as const;
    const reply = chat.reply(questionMessages(video, chat.defaultQuestion), { maxTokens: 1 });
    for (let next = await reply.next(); ; next = await reply.next()) {
      if (next.done !== true) continue;
      left = next.value.usage.prompt_tokens - next.value.usage.cached_tokens;
      break;
    }
  }
  return left;
}

/** Seconds in which llama.cpp reads `prompt` tokens and writes `lengths[i]`, for every i. */
async function llamaSeconds(llama: Llama, prompt: number, lengths: readonly number[]): Promise<Map<number, number>> {
  const seconds = new Map<number, number>();
  for (const count of SIDE_BY_SIDE) {
    await llama.withSequences(count, 512, async (sequences) => {
      await Promise.all(sequences.map((sequence, i) => written(sequence, madeUpPrompt(prompt, i), 4)));
      const started = performance.now();
      let next = 0;
      await Promise.all(sequences.map(async (sequence) => {
        for (let index = next++; index < lengths.length; index = next++) await written(sequence, madeUpPrompt(prompt, index), lengths[index] as number);
      }));
      seconds.set(count, (performance.now() - started) / 1000);
    });
  }
  return seconds;
}

const count = Number(process.argv[2] ?? 16);
const models = await ownModels({ threads: DEFAULT_THREADS, independent: true });
const folder = await TestFolder.make();
try {
  const chat = await models.chat();
  // What is loaded when it is first needed is no part of a caption's time.
  await captions(models, await makeContainers(folder, 1, models, 'first'), 1, CAPTION_BEAMS);
  const prompt = await newPromptTokens(chat, models.pack.manifest.latent.dim);
  console.log(`${machine()}, ${DEFAULT_THREADS} threads; ${count} containers of ${FRAMES} frames, ${prompt} tokens each that no other prompt has`);
  const row = (name: string, side: number, seconds: number, tokens: number): string[] => [name, String(side), ((60 * count) / seconds).toFixed(0), (tokens / seconds).toFixed(0)];
  const rows = [['', 'side by side', 'captions a minute', 'tokens written a second']];
  let greedy: number[] = [];
  for (const beams of [CAPTION_BEAMS, 1]) {
    for (const jobs of SIDE_BY_SIDE) {
      const files = await makeContainers(folder, count, models, `${beams} beams, ${jobs}`);
      const { seconds, lines } = await captions(models, files, jobs, beams);
      const lengths = lines.map(({ tokens }) => Number(tokens));
      greedy = lengths;
      rows.push(row(`latentchat caption, ${beams === 1 ? 'the likeliest word each time' : `${beams} beams`}`, jobs, seconds, lengths.reduce((sum, tokens) => sum + tokens, 0)));
    }
  }
  const llama = await Llama.open(DEFAULT_THREADS);
  if (llama !== null) {
    const tokens = greedy.reduce((sum, length) => sum + length, 0);
    for (const [side, seconds] of await llamaSeconds(llama, prompt, greedy)) rows.push(row('llama.cpp, as many tokens', side, seconds, tokens));
    await llama.release();
  }
  printTable(rows);
  if (llama === null) console.log(LLAMA_LEFT_OUT);
} finally {
  await models.release();
  await folder.remove();
}
