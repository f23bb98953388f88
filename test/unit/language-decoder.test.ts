/** The decoder graph against transformers, on a small random Llama with weights in the pack's layout. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { argmax, beamSearch, ContextError, Decoder, DecoderBatch, logProbability, prefill, scoreContinuations, type FoundText, type KvCache } from '../../model/language/index.js';
import { tinyDecoder, tinyReference } from '../helpers/tiny-llama.js';

/** Greedy continuation of what `cache` holds, without looking at end tokens. */
async function continueGreedily(decoder: Decoder, cache: KvCache, logits: Float32Array, count: number): Promise<number[]> {
  const ids: number[] = [];
  for (let token = argmax(logits); ids.length < count; token = argmax(logits)) {
    ids.push(token);
    logits = await decoder.forward(decoder.embed([token]), cache);
  }
  return ids;
}

for (const adapter of [false, true]) {
  const which = adapter ? 'adapted' : 'plain';

  test(`fp32 logits equal transformers' (${which})`, async () => {
    const { ids, [which]: expected, config } = await tinyReference();
    const decoder = await tinyDecoder('fp32', adapter);
    const logits = await decoder.forward(decoder.embed(ids), decoder.newCache(), ids.length);
    for (const [row, position] of expected.positions.entries()) {
      const ours = logits.subarray(position * config.vocab, (position + 1) * config.vocab);
      const worst = Math.max(...ours.map((value, i) => Math.abs(value - ((expected.logits[row] as number[])[i] as number))));
      assert.ok(worst < 2e-4, `position ${position} differs by ${worst}`);
    }
    await decoder.release();
  });

  test(`greedy and beam search give transformers' tokens (${which})`, async () => {
    const { ids, [which]: expected, config } = await tinyReference();
    const decoder = await tinyDecoder('fp32', adapter);
    const cache = decoder.newCache();
    const logits = (await prefill(decoder, decoder.embed(ids), cache)) as Float32Array;
    const { texts } = await beamSearch(new DecoderBatch(decoder), cache, logits, { beams: 3, maxTokens: 12, lengthPenalty: 1 });
    assert.deepEqual(texts[0]?.tokens, expected.beams.filter((id) => id !== config.eos));
    assert.deepEqual(await continueGreedily(decoder, cache, logits, expected.greedy.length), expected.greedy);
    await decoder.release();
  });

  test(`a run of tokens is searched once only where that is asked for (${which})`, async () => {
    const { ids, [which]: expected } = await tinyReference();
    const decoder = await tinyDecoder('fp32', adapter);
    const cache = decoder.newCache();
    const logits = (await prefill(decoder, decoder.embed(ids), cache)) as Float32Array;
    const runs = (tokens: readonly number[]): string[] => tokens.slice(1).map((token, i) => `${tokens[i]} ${token}`);
    const repeated = (tokens: readonly number[]): number => runs(tokens).length - new Set(runs(tokens)).size;
    const { texts: [best] } = await beamSearch(new DecoderBatch(decoder), cache, logits, { beams: 3, maxTokens: 12, lengthPenalty: 1, noRepeatNgram: 2 });
    const tokens = best?.tokens ?? [];
    assert.equal(repeated(tokens), 0, tokens.join(' '));
    if (!adapter) assert.ok(repeated(expected.beams) > 0, 'it would repeat itself');
    await decoder.release();
  });

  for (const kind of ['q4', 'q8'] as const) {
    test(`${kind} logits stay close to fp32's (${which})`, async () => {
      const { ids, config } = await tinyReference();
      const [exact, rounded] = await Promise.all([tinyDecoder('fp32', adapter), tinyDecoder(kind, adapter)]);
      const [expected, ours] = await Promise.all(
        [exact, rounded].map((decoder) => decoder.forward(decoder.embed(ids), decoder.newCache(), ids.length)),
      );
      let [difference, size] = [0, 0];
      for (const [i, value] of (expected as Float32Array).entries()) {
        difference += (value - ((ours as Float32Array)[i] as number)) ** 2;
        size += value ** 2;
      }
      // Rounding costs 6 to 10% in this small and excitable model; without the minima or the adapter it would be over 90%.
      const relative = Math.sqrt(difference / size);
      assert.ok(relative < 0.15, `relative error ${relative}`);
      assert.ok(relative > 0, `${config.vocab} logits are identical: the rounded weights were not used`);
      await Promise.all([exact.release(), rounded.release()]);
    });
  }
}

test('tokens one at a time, in chunks, or at once give the same logits', async () => {
  const { ids } = await tinyReference();
  const decoder = await tinyDecoder('fp32');
  const whole = await decoder.forward(decoder.embed(ids), decoder.newCache());
  for (const step of [1, 7]) {
    const cache = decoder.newCache();
    let logits: Float32Array = new Float32Array();
    for (let start = 0; start < ids.length; start += step) logits = await decoder.forward(decoder.embed(ids.slice(start, start + step)), cache);
    assert.equal(cache.length, ids.length);
    for (const [i, value] of whole.entries()) assert.ok(Math.abs(value - (logits[i] as number)) < 1e-4);
  }
  await decoder.release();
});

test('a fork goes on without touching the cache it came from, and truncating forgets', async () => {
  const { ids, plain } = await tinyReference();
  const decoder = await tinyDecoder('fp32');
  const cache = decoder.newCache();
  const logits = await decoder.forward(decoder.embed(ids), cache);
  const fork = cache.fork();
  await decoder.forward(decoder.embed([5, 6, 7, 8]), fork);
  assert.equal(fork.length, ids.length + 4);
  assert.equal(cache.length, ids.length);
  fork.truncate(ids.length);
  const expected = plain.greedy.slice(0, 8);
  assert.deepEqual(await continueGreedily(decoder, fork, logits, 8), expected, 'the truncated fork');
  assert.deepEqual(await continueGreedily(decoder, cache, logits, 8), expected, 'the original');
  assert.throws(() => fork.truncate(1000), RangeError);
  await decoder.release();
});

test('sequences of one batch can be reordered: each goes on from what another has written', async () => {
  const { ids } = await tinyReference();
  const decoder = await tinyDecoder('fp32');
  const cache = decoder.newCache();
  await decoder.forward(decoder.embed(ids), cache);
  const { vocab } = decoder.config;

  const alone: Float32Array[] = [];
  for (const first of [11, 22]) {
    const fork = cache.fork();
    await decoder.forward(decoder.embed([first]), fork);
    alone.push(await decoder.forward(decoder.embed([33]), fork));
  }
  const batch = new DecoderBatch(decoder);
  const sequences = [batch.join(cache), batch.join(cache), batch.join(cache)];
  const logits = sequences.map(() => new Float32Array(vocab));
  const step = (tokens: readonly number[]): Promise<unknown> => Promise.all(sequences.map((sequence, i) => sequence.step(tokens[i] as number, logits[i] as Float32Array)));
  assert.throws(() => batch.reorder(sequences, [1, 0, 0], ids.length), /taken a step/);
  await step([22, 11, 44]);
  batch.reorder(sequences, [1, 0, 0], ids.length);
  await step([33, 33, 33]);
  for (const [row, expected] of [alone[0], alone[1], alone[1]].entries()) {
    for (const [i, value] of (expected as Float32Array).entries()) assert.ok(Math.abs(((logits[row] as Float32Array)[i] as number) - value) < 1e-4);
  }
  await decoder.release();
});

test('several searches and texts in one batch end as each would alone', async () => {
  const { ids } = await tinyReference();
  const decoder = await tinyDecoder('fp32');
  const search = async (batch: DecoderBatch, length: number): Promise<readonly FoundText[]> => {
    const cache = decoder.newCache();
    const logits = (await prefill(decoder, decoder.embed(ids.slice(0, length)), cache)) as Float32Array;
    return (await beamSearch(batch, cache, logits, { beams: 3, maxTokens: 14 })).texts;
  };
  const lengths = [ids.length, 5, 9, 12];
  const alone = [];
  for (const length of lengths) alone.push(await search(new DecoderBatch(decoder), length));
  const batch = new DecoderBatch(decoder);
  assert.deepEqual(await Promise.all(lengths.map((length) => search(batch, length))), alone);
  assert.equal(batch.size, 0);
  await decoder.release();
});

test('a sequence that does not ask is not run, and goes on later as if it had never waited', async () => {
  const { ids } = await tinyReference();
  const decoder = await tinyDecoder('fp32');
  const rows: number[] = [];
  const counted = Object.assign(Object.create(decoder) as Decoder, {
    forwardRows: (...args: Parameters<Decoder['forwardRows']>) => {
      rows.push(args[1].length);
      return decoder.forwardRows(...args);
    },
  });
  const batch = new DecoderBatch(counted);
  const start = async (length: number) => {
    const cache = decoder.newCache();
    const logits = await decoder.forward(decoder.embed(ids.slice(0, length)), cache);
    const expected = await continueGreedily(decoder, cache.fork(), logits.slice(), 12);
    return { sequence: batch.join(cache), logits, expected, written: [] as number[] };
  };
  const [first, second, third] = [await start(4), await start(9), await start(6)];
  const step = ({ sequence, logits, written }: typeof first): Promise<void> => {
    const token = argmax(logits);
    written.push(token);
    return sequence.step(token, logits);
  };
  for (const asking of [[first, second, third], [third], [second, third], [first], [first, third], [second], [first, second, third]]) await Promise.all(asking.map(step));
  assert.deepEqual(rows, [3, 1, 2, 1, 2, 1, 3]);
  for (const { written, expected } of [first, second, third]) assert.deepEqual(written, expected.slice(0, written.length));
  assert.deepEqual([first.written.length, second.written.length, third.written.length], [4, 4, 5]);
  await decoder.release();
});

test('sequences of any lengths that join and leave a batch go on as they would alone', async () => {
  const { ids } = await tinyReference();
  const decoder = await tinyDecoder('fp32');
  const batch = new DecoderBatch(decoder);
  const start = async (length: number): Promise<{ cache: KvCache; logits: Float32Array }> => {
    const cache = decoder.newCache();
    return { cache, logits: await decoder.forward(decoder.embed(ids.slice(0, length)), cache) };
  };
  /** Steps taken before another sequence joins or leaves, so that rows move about while others go on. */
  const write = async (length: number, count: number): Promise<number[]> => {
    const { cache, logits } = await start(length);
    const sequence = batch.join(cache);
    const written: number[] = [];
    for (let token = argmax(logits); written.length < count; token = argmax(logits)) {
      written.push(token);
      await sequence.step(token, logits);
    }
    assert.equal(sequence.length, length + count);
    sequence.leave();
    await assert.rejects(sequence.step(1, logits), RangeError);
    return written;
  };
  const plans = [[3, 9], [ids.length, 4], [11, 17], [7, 1], [2, 30]] as const;
  const together = Promise.all(plans.map(([length, count]) => write(length, count)));
  await new Promise((resolve) => setTimeout(resolve, 5));
  const late = write(5, 12);
  const alone = async (length: number, count: number): Promise<number[]> => {
    const { cache, logits } = await start(length);
    return continueGreedily(decoder, cache, logits, count);
  };
  assert.deepEqual([...(await together), await late], await Promise.all([...plans, [5, 12] as const].map(([length, count]) => alone(length, count))));
  assert.equal(batch.size, 0);
  batch.release();
  await decoder.release();
});

test('who joins or leaves while a run is under way disturbs nobody', async () => {
  const { ids } = await tinyReference();
  const decoder = await tinyDecoder('fp32');
  const batch = new DecoderBatch(decoder);
  const prompt = decoder.newCache();
  const logits = await decoder.forward(decoder.embed(ids.slice(0, 6)), prompt);
  const expected = await continueGreedily(decoder, prompt.fork(), logits.slice(), 24);
  const guest = decoder.newCache();
  await decoder.forward(decoder.embed(ids.slice(0, 9)), guest);
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  const scratch = new Float32Array(decoder.config.vocab);
  const first = batch.join(guest);
  const leader = batch.join(prompt);
  const guests = [first];
  const written: number[] = [];
  for (let step = 0; step < expected.length; step++) {
    const token = argmax(logits);
    written.push(token);
    const run = leader.step(token, logits);
    for (let turns = 0; turns < step % 4; turns++) await turn();
    // Odd ones join and are moved about, even ones leave from in front of the others.
    if (step % 2 === 1) guests.push(batch.join(guest));
    else guests.shift()?.leave();
    await run;
    await Promise.all(guests.map((sequence) => sequence.step(5, scratch)));
  }
  assert.deepEqual(written, expected);
  for (const sequence of [leader, ...guests]) sequence.leave();
  assert.equal(batch.size, 0);
  await decoder.release();
});

test('a sequence that is full ends alone, the others of its batch go on', async () => {
  const { ids } = await tinyReference();
  const decoder = await tinyDecoder('fp32', false, 30);
  const batch = new DecoderBatch(decoder);
  const join = async (length: number): Promise<ReturnType<DecoderBatch['join']>> => {
    const cache = decoder.newCache();
    await decoder.forward(decoder.embed(Array.from({ length }, (_, i) => ids[i % ids.length] as number)), cache);
    return batch.join(cache);
  };
  const [full, other] = [await join(30), await join(4)];
  const logits = new Float32Array(decoder.config.vocab);
  await assert.rejects(full.step(1, logits), ContextError);
  await other.step(1, logits);
  assert.deepEqual([full.length, other.length], [30, 5]);
  await decoder.release();
});

test('a sequence that outgrows the context is refused with both numbers, and the cache stays usable', async () => {
  const { ids } = await tinyReference();
  const decoder = await tinyDecoder('fp32', false, 30);
  const cache = decoder.newCache();
  await decoder.forward(decoder.embed(ids), cache);
  await assert.rejects(decoder.forward(decoder.embed([1, 2, 3, 4, 5, 6, 7]), cache), (error) => {
    assert.ok(error instanceof ContextError);
    assert.match(error.message, /needs 31 tokens.*holds 30/);
    return true;
  });
  assert.equal(cache.length, ids.length);
  await decoder.forward(decoder.embed([1, 2]), cache);
  await decoder.release();
});

test('a token outside the vocabulary is refused', async () => {
  const decoder = await tinyDecoder('fp32');
  assert.throws(() => decoder.embed([320]), /token 320 is outside the vocabulary of 320/);
  await decoder.release();
});

test('the likelihood of a continuation is the sum of its tokens\' one after another, and the cache stays as it was', async () => {
  const { ids, plain, config } = await tinyReference();
  const decoder = await tinyDecoder('fp32');
  const cache = decoder.newCache();
  const logits = (await prefill(decoder, decoder.embed(ids), cache)) as Float32Array;
  const continuations = [plain.greedy.slice(0, 4), [3], [9, 1, 7, 2, 5]];
  const scores = await scoreContinuations(decoder, cache, logits, continuations);
  assert.equal(cache.length, ids.length);
  for (const [i, continuation] of continuations.entries()) {
    const alone = cache.fork();
    let [expected, next] = [0, logits];
    for (const token of [...continuation, config.eos]) {
      expected += logProbability(next, token);
      if (token !== config.eos) next = await decoder.forward(decoder.embed([token]), alone);
    }
    assert.equal(scores?.[i]?.tokens, continuation.length + 1);
    assert.ok(Math.abs((scores?.[i]?.logProbability ?? NaN) - expected) < 1e-4, `${scores?.[i]?.logProbability} against ${expected}`);
  }
  assert.equal(await scoreContinuations(decoder, cache, logits, continuations, AbortSignal.abort()), null);
  await decoder.release();
});
