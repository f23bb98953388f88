/** Section: tokens a second, adapter on. */
import { argmax, LanguageModel, prefill, type Decoder } from '../../../../model/language/index.js';
import type { PackSection } from './section.js';

const CONTEXTS = [200, 1000];
/** Tokens written at each context, which grows by as many; the first ones are not counted. */
const DECODED = 64;
const WARM_UP = 4;

/** Token ids of a prompt that says nothing; of another number `which`, another prompt. */
export function madeUpPrompt(tokens: number, which = 0): number[] {
  return Array.from({ length: tokens }, (_, at) => 1000 + ((at * 37 + which * 91) % 5000));
}

/** Seconds of a prompt and of the median token after it. */
export interface DecodingSpeed {
  readonly prefill_s: number;
  readonly token_s: number;
}

/** Of a made-up prompt of `context` tokens. */
export async function decodingSpeed(decoder: Decoder, context: number, decoded = DECODED): Promise<DecodingSpeed> {
  const prompt = madeUpPrompt(context);
  const cache = decoder.newCache(context + decoded);
  const start = performance.now();
  const logits = (await prefill(decoder, decoder.embed(prompt), cache)) as Float32Array;
  const prefill_s = (performance.now() - start) / 1000;
  const times: number[] = [];
  for (let i = 0; i < decoded; i++) {
    const begun = performance.now();
    await decoder.forward(decoder.embed([argmax(logits)]), cache, 1, logits);
    if (i >= WARM_UP) times.push(performance.now() - begun);
  }
  return { prefill_s, token_s: (times.sort((a, b) => a - b)[times.length >> 1] as number) / 1000 };
}

export const speedSection: PackSection = {
  name: 'speed',
  help: 'tokens a second at contexts of 200 and 1,000',
  missing: () => null,
  async run({ models }) {
    const model = await LanguageModel.load(models.pack, models.runtime);
    try {
      const rows = [];
      for (const context of CONTEXTS) {
        const { token_s } = await decodingSpeed(model.decoder, context);
        rows.push({ key: `tokens_per_second_${context}`, what: `tokens a second at a context of ${context}`, count: DECODED, value: 1 / token_s, blind: null, reach: '2 x llama.cpp' });
      }
      return rows;
    } finally {
      await model.release();
    }
  },
};
