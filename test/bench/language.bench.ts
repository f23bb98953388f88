/**
 * The default pack's language model: tokens a second at three context lengths, adapter on and off, merged 8-bit weights
 * and 4-bit weights with the adapter beside them; several sequences in turns and in one run; and the time to the first token of a first
 * and a second question. Beside it llama.cpp with the same language model, where it is installed (llama.ts).
 * `npm run bench language`; LATENTCHAT_BENCH_SPIN=1 lets idle threads wait busily (for machines with nothing else to do).
 */
import { decodingSpeed, madeUpPrompt } from '../../client/cli/evaluate/pack/speed.js';
import { argmax, DecoderBatch, type KvCache, LanguageModel, prefill, type WeightKind } from '../../model/language/index.js';
import { ModelPack } from '../../model/pack/open.node.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { seededRandom } from '../../model/runtime/random.js';
import { ChatModel, type ChatMessage, type VideoPart } from '../../projector/index.js';
import { Llama, LLAMA_LEFT_OUT, written } from './llama.js';
import { machine, median, printTable, timed } from './table.js';

const THREADS = 2;
const CONTEXTS = [50, 200, 1000];
/** Tokens written by each of several sequences. */
const DECODED = 64;
const QUESTIONS = 5;

const runtime = nodeRuntime({ threads: THREADS, spin: process.env['LATENTCHAT_BENCH_SPIN'] === '1' });

async function speeds(pack: ModelPack, kind: WeightKind, adapter: boolean): Promise<string[][]> {
  const started = performance.now();
  const model = await LanguageModel.load(pack, runtime, { kind, adapter });
  const loaded = performance.now() - started;
  const rows: string[][] = [];
  for (const context of CONTEXTS) {
    const { prefill_s, token_s } = await decodingSpeed(model.decoder, context);
    rows.push([
      `${kind}, adapter ${adapter ? 'on' : 'off'}`, String(context), (1 / token_s).toFixed(0), (1000 * token_s).toFixed(2), (context / prefill_s).toFixed(0), (loaded / 1000).toFixed(1),
    ]);
  }
  await model.release();
  return rows;
}

/** The same of llama.cpp, which has no adapter to apply. */
async function llamaSpeeds(llama: Llama): Promise<string[][]> {
  const rows: string[][] = [];
  for (const context of CONTEXTS) {
    const prompt = madeUpPrompt(context);
    const times = await llama.withSequences(1, context + 2 * DECODED, async ([sequence]) => {
      if (sequence === undefined) throw new Error('llama.cpp gave no sequence');
      await written(sequence, prompt, 4);
      return written(sequence, prompt, DECODED);
    });
    const gaps = times.slice(1).map((time, i) => time - (times[i] as number));
    const token_ms = median(gaps);
    rows.push(['llama.cpp', String(context), (1000 / token_ms).toFixed(0), token_ms.toFixed(2), ((1000 * context) / (times[0] as number)).toFixed(0), '-']);
  }
  return rows;
}

/** Tokens a second of all sequences together: one after the other, and in one run. */
async function batching(pack: ModelPack): Promise<void> {
  const model = await LanguageModel.load(pack, runtime);
  const { decoder } = model;
  const rows: string[][] = [['sequences of about 200 tokens', 'in turns, tokens/s', 'in one run, tokens/s', 'gain']];
  for (const count of [1, 2, 4, 8]) {
    const sequences: { cache: KvCache; logits: Float32Array }[] = [];
    for (let i = 0; i < count; i++) {
      const prompt = madeUpPrompt(200 - 7 * i, i);
      const cache = decoder.newCache(prompt.length + 2 * DECODED);
      sequences.push({ cache, logits: (await prefill(decoder, decoder.embed(prompt), cache)) as Float32Array });
    }
    const batch = new DecoderBatch(decoder);
    const joined = sequences.map(({ cache, logits }) => ({ sequence: batch.join(cache), logits }));
    const together = median(await timed(DECODED, 4, () => Promise.all(joined.map(({ sequence, logits }) => sequence.step(argmax(logits), logits)))));
    const turns = median(await timed(DECODED, 4, async () => {
      for (const { cache, logits } of sequences) await decoder.forward(decoder.embed([argmax(logits)]), cache, 1, logits);
    }));
    batch.release();
    rows.push([String(count), ((1000 * count) / turns).toFixed(0), ((1000 * count) / together).toFixed(0), `${(turns / together).toFixed(2)} x`]);
  }
  printTable(rows);
  await model.release();
}

function randomVideo(id: string, dim: number): VideoPart {
  const random = seededRandom(id);
  const frames = 100;
  return { type: 'video', id, version: '1', dim, latents: Float32Array.from({ length: frames * dim }, () => random() - 0.5), times_s: Array.from({ length: frames }, (_, i) => i / 10) };
}

/** Seconds to the first token of a first and of a second question about each of several videos of 8 shown frames. */
async function firstTokens(pack: ModelPack): Promise<void> {
  const model = await ChatModel.load(pack, runtime);
  const ask = async (messages: readonly ChatMessage[]): Promise<{ text: string; first: number; prompt: number; cached: number }> => {
    const reply = model.reply(messages, { maxTokens: 24 });
    for (;;) {
      const next = await reply.next();
      if (next.done === true) {
        const { text, seconds, usage } = next.value;
        return { text, first: 1000 * seconds.first_token, prompt: usage.prompt_tokens, cached: usage.cached_tokens };
      }
    }
  };
  const first: Awaited<ReturnType<typeof ask>>[] = [];
  const second: typeof first = [];
  for (let i = 0; i < QUESTIONS; i++) {
    const opening: ChatMessage = { role: 'user', content: [randomVideo(`video ${i}`, pack.manifest.latent.dim), { type: 'text', text: 'What is happening in this video?' }] };
    const answer = await ask([opening]);
    first.push(answer);
    second.push(await ask([opening, { role: 'assistant', content: [{ type: 'text', text: answer.text }] }, { role: 'user', content: [{ type: 'text', text: 'And who is in it?' }] }]));
  }
  const row = (name: string, answers: typeof first): string[] => [
    name, median(answers.map((answer) => answer.first)).toFixed(0), median(answers.map((answer) => answer.prompt)).toFixed(0), median(answers.map((answer) => answer.cached)).toFixed(0),
  ];
  printTable([['question about a video of 8 frames', 'first token, ms', 'prompt tokens', 'of them cached'], row('first', first), row('second', second)]);
  await model.release();
}

const pack = await ModelPack.open();
console.log(`${machine()}, ${THREADS} threads`);
const rows: string[][] = [['weights', 'context', 'tokens/s', 'ms a token', 'prefill tokens/s', 'load, s']];
for (const [kind, adapter] of [['q8', true], ['q8', false], ['q4', true], ['q4', false]] as const) rows.push(...(await speeds(pack, kind, adapter)));
const llama = await Llama.open(THREADS);
if (llama !== null) {
  rows.push(...(await llamaSpeeds(llama)));
  await llama.release();
}
printTable(rows);
if (llama === null) console.log(LLAMA_LEFT_OUT);
console.log('');
await batching(pack);
console.log('');
await firstTokens(pack);
