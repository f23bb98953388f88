/** The retrieval towers of the default pack: held to the recipe's numbers, and to a photo and its words. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type ModelPack, openPack } from '../../model/pack/open.node.js';
import { findMoments, LatentTower, type MomentQuery, MomentSearch, TextTower } from '../../model/retrieval/index.js';
import { nodeRuntime } from '../../model/runtime/node.node.js';
import { normal, seededRandom } from '../../model/runtime/random.js';
import { likenessRank } from '../../projector/captions.js';
import { type AnnotatedReply, captionSearch, type ChatMessage, ChatModel, ChoiceScorer, type MomentFinder, type ReplyOptions, replyWithMoments, type VideoPart } from '../../projector/index.js';

interface Fixture {
  readonly texts: readonly { readonly text: string; readonly vector: readonly number[] }[];
  readonly photo: { readonly latent: readonly number[]; readonly vector: readonly number[] };
}

/** The recipe reads texts in float32; here the language model's 4-bit kernels round what they are given to 8 bits: vectors are 0.994 to 0.997 alike. */
const TEXT_COSINE = 0.99;

const runtime = nodeRuntime({ threads: 2 });
let pack: ModelPack;
let expected: Fixture;
let search: MomentSearch;
before(async () => {
  pack = await openPack();
  expected = JSON.parse(await readFile(path.join(fileURLToPath(new URL('../../../test/fixtures/retrieval', import.meta.url)), 'vectors.json'), 'utf8')) as Fixture;
  search = await MomentSearch.load(pack, runtime);
});
after(() => search.release());

const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => Array.from(a).reduce((sum, value, i) => sum + value * (b[i] as number), 0);

test('a text has the vector the recipe gives it', async () => {
  const tower = await TextTower.load(pack, runtime);
  try {
    for (const { text, vector } of expected.texts) {
      const own = await tower.vector(text);
      assert.equal(own.length, pack.manifest.retrieval?.dim);
      assert.ok(Math.abs(Math.hypot(...own) - 1) < 1e-5, text);
      assert.ok(cosine(own, vector) > TEXT_COSINE, `"${text}": cosine ${cosine(own, vector)}`);
    }
    await assert.rejects(tower.vector(' ?! '), RangeError);
    const long = await tower.vector('a dog and '.repeat(2000));
    assert.ok(long.every(Number.isFinite));
  } finally {
    await tower.release();
  }
});

test('a latent has the vector the recipe gives it, alone and among others', async () => {
  const tower = await LatentTower.load(pack, runtime);
  try {
    const { latent, vector } = expected.photo;
    const vectors = await tower.vectors(Float32Array.from(Array.from({ length: 1500 }, () => latent).flat()));
    for (const row of [0, 1023, 1499]) {
      const worst = vector.reduce((most, value, d) => Math.max(most, Math.abs(value - (vectors[row * tower.dim + d] as number))), 0);
      assert.ok(worst < 1e-3, `row ${row} is off by ${worst}`);
    }
    await assert.rejects(tower.vectors(new Float32Array(300)), /not a whole number of rows/);
  } finally {
    await tower.release();
  }
});

/** The photo for two seconds, something else before and after; four frames a second. */
async function photoInTheMiddle(): Promise<VideoPart> {
  const { dim } = pack.manifest.latent;
  const sigma = (await pack.tensors('latent-map.safetensors')).get('sigma', [dim]).data as Float32Array;
  const random = seededRandom('elsewhere');
  const other = Array.from({ length: 2 }, () => Float32Array.from(sigma, (value) => value * normal(random)));
  const latents = new Float32Array(24 * dim);
  for (let t = 0; t < 24; t++) {
    const scene = t < 8 ? (other[0] as Float32Array) : t < 16 ? expected.photo.latent : (other[1] as Float32Array);
    for (let d = 0; d < dim; d++) latents[t * dim + d] = (scene[d] as number) + 0.05 * (sigma[d] as number) * normal(random);
  }
  return { type: 'video', id: 'three', version: '1', latents, dim, times_s: Array.from({ length: 24 }, (_, t) => t / 4) };
}

test('texts are as like a video as to its frames in the mean; without a letter as little as can be', async () => {
  const texts = ['A dog runs through the grass.', 'Children playing in the snow!', '...'];
  const { latent, vector } = expected.photo;
  const { dim } = pack.manifest.latent;
  const photo = { latents: Float32Array.from(latent), dim, times_s: [0] };
  const [[dog = 0, snow = 0, none] = []] = await search.likeness([photo], texts);
  assert.ok(Math.abs(dog - cosine(vector, await search.textVector(texts[0] ?? ''))) < 1e-3);
  assert.ok(dog > snow + 0.1);
  assert.equal(none, -1);

  const three = await photoInTheMiddle();
  const frames = Array.from(three.times_s, (time_s, t) => ({ latents: three.latents.slice(t * dim, (t + 1) * dim), dim, times_s: [time_s] }));
  const alone = (await search.likeness(frames, texts)).map(([first = 0]) => first);
  const [[whole = 0] = []] = await search.likeness([three], texts);
  assert.ok(Math.abs(whole - alone.reduce((a, b) => a + b) / alone.length) < 1e-5);
});

test('of two captions of one likelihood, the one that is like what is shown is chosen', async () => {
  const rank = likenessRank(search);
  const { dim } = pack.manifest.latent;
  const photo: VideoPart = { type: 'video', id: 'dog', version: '1', latents: Float32Array.from(expected.photo.latent), dim, times_s: [0] };
  const question: ChatMessage = { role: 'user', content: [photo, { type: 'text', text: 'What is it?' }] };
  const texts = ['A man in a suit.', 'A dog runs through the grass.', ''];
  const [suit = 0, dog = 0, none = 0] = await rank(texts, [question]);
  assert.ok(dog > suit && suit > none);
  assert.deepEqual(await rank(texts, [{ role: 'user', content: [{ type: 'text', text: 'What is it?' }] }]), [0, 0, 0]);
  assert.deepEqual(await rank(texts.slice(1, 2), [question]), [0]);
});

test('a frame of a scene finds the scene', async () => {
  const video = await photoInTheMiddle();
  const indexed = await search.index(video);
  const { cosines, vectorOf } = await import('../../model/retrieval/index.js');
  const [best] = findMoments(cosines(indexed.vectors, vectorOf(indexed.vectors, 12)), indexed.times_s, indexed.duration_s, indexed.shots);
  assert.deepEqual([best?.start_s, best?.end_s], [2, 4]);
});

test('an answer about when names the seconds it is annotated with; what does not match is not claimed', async () => {
  const chat = await ChatModel.load(pack, runtime);
  const video = await photoInTheMiddle();
  /** The towers, with thresholds of a test's own. */
  const withThresholds = (thresholds: Partial<MomentQuery>): MomentFinder => ({
    likeness: (parts, texts) => search.likeness(parts, texts),
    query: (words) => search.query(words),
    find: async (part, query) => ({ ...(await search.find(part, query)), ...thresholds }),
  });
  /** Of whatever video, everything counts as found. */
  const credulous = withThresholds({ match: -1 });
  const ask = async (question: string, finder: MomentFinder): Promise<AnnotatedReply & { pieces: string[] }> => {
    const messages: ChatMessage[] = [{ role: 'user', content: [video, { type: 'text', text: question }] }];
    const reply = replyWithMoments(chat, finder, messages, { maxTokens: 16 });
    const pieces: string[] = [];
    for (;;) {
      const next = await reply.next();
      if (next.done === true) return { ...next.value, pieces };
      pieces.push(next.value.text);
    }
  };
  try {
    const { text, annotations, pieces } = await ask('When is an animal in the grass visible?', credulous);
    assert.equal(pieces.join(''), text);
    const places = annotations.map(({ start_s, end_s }) => `from ${start_s.toFixed(1)} s to ${end_s.toFixed(1)} s`).join(', and ');
    assert.ok(text.toLowerCase().startsWith(`${places}: `), text);
    assert.match(text, /: \p{L}/u);
    assert.ok(annotations.every(({ type, video: id }) => type === 'moment' && id === 'three'));
    assert.ok(annotations.some(({ start_s, end_s }) => start_s <= 2 && end_s >= 4), 'the photo of an animal is among them');

    const doubtful = withThresholds({ match: 1, possible: -1 });
    const perhaps = await ask('When is an animal in the grass visible?', doubtful);
    assert.match(perhaps.text, /^Perhaps from \d/);
    assert.equal(perhaps.annotations.length, 1);

    const nothing = await ask('When does a skier jump over the snow?', search);
    assert.match(nothing.text, /^I do not find that in the video\. What comes nearest is from \d/);
    assert.equal(nothing.annotations.length, 1, 'what comes nearest can be looked at, too');

    const other = await ask('What is in the video?', search);
    assert.deepEqual(other.annotations, []);
    assert.doesNotMatch(other.text, /^From \d/);
  } finally {
    await chat.release();
  }
});

test('an answer about when over several videos reads the words once, and holds each video to its own thresholds', async () => {
  const chat = await ChatModel.load(pack, runtime);
  const video = await photoInTheMiddle();
  const parts = ['one', 'two', 'three'].map((id): VideoPart => ({ ...video, id }));
  let read = 0;
  const finder: MomentFinder = {
    likeness: (videos, texts) => search.likeness(videos, texts),
    query: (words) => {
      read++;
      return search.query(words);
    },
    // Neither the first video's thresholds nor the last's are the second's.
    find: async (part, query) => ({ ...(await search.find(part, query)), ...((part as VideoPart).id === 'two' ? { match: -1 } : { match: 1 }) }),
  };
  const question: ChatMessage = { role: 'user', content: [...parts, { type: 'text', text: 'When is an animal in the grass visible?' }] };
  try {
    const reply = replyWithMoments(chat, finder, [question], { maxTokens: 8, beams: 1 });
    let next = await reply.next();
    while (next.done !== true) next = await reply.next();
    assert.equal(read, 1);
    assert.deepEqual([...new Set(next.value.annotations.map(({ video: id }) => id))], ['two']);
    assert.match(next.value.text, /^In video 2 from /);
  } finally {
    await chat.release();
  }
});

test('captions of several videos are ranked by all of them, and each text is read once', async () => {
  const photo = await photoInTheMiddle();
  const seen: (readonly [number, number])[] = [];
  const rank = likenessRank({
    likeness: (videos, texts) => {
      seen.push([videos.length, texts.length]);
      return search.likeness(videos, texts);
    },
  });
  const question: ChatMessage = { role: 'user', content: [{ ...photo, id: 'a' }, { ...photo, id: 'b' }, { type: 'text', text: 'What is it?' }] };
  const both = await rank(['A dog runs through the grass.', 'A man.'], [question]);
  const one = await rank(['A dog runs through the grass.', 'A man.'], [{ ...question, content: question.content.slice(1) }]);
  assert.deepEqual(seen, [[2, 2], [1, 2]]);
  both.forEach((score, i) => assert.ok(Math.abs(score - (one[i] as number)) < 1e-4));
});

test("the pack's own question for a caption is answered with one that is searched for, anything else word by word", async () => {
  const chat = await ChatModel.load(pack, runtime);
  const video = await photoInTheMiddle();
  const ask = async (question: string, finder: MomentFinder | null, options: ReplyOptions = {}): Promise<string[]> => {
    const reply = replyWithMoments(chat, finder, [{ role: 'user', content: [video, { type: 'text', text: question }] }], { maxTokens: 40, ...options });
    const pieces: string[] = [];
    for (let next = await reply.next(); next.done !== true; next = await reply.next()) pieces.push(next.value.text);
    return pieces;
  };
  try {
    const caption = await ask(chat.defaultQuestion, search);
    assert.equal(caption.length, 1);
    assert.deepEqual(await ask(chat.defaultQuestion, null, captionSearch(search)), caption);
    const [opening, part, ...more] = await ask('What happens at the end?', search);
    assert.match(opening ?? '', /^From \d/);
    assert.ok((part ?? '').length > 5 && more.length === 0);
    for (const written of [ask(chat.defaultQuestion, search, { beams: 1 }), ask(chat.defaultQuestion, search, { temperature: 0.5, seed: 1 }), ask(chat.defaultQuestion, null), ask('What is in the video?', search)]) {
      assert.ok((await written).length > 1);
    }
  } finally {
    await chat.release();
  }
});

test('of given answers that say what is seen, the towers judge too; of others the language model alone', async () => {
  const chat = await ChatModel.load(pack, runtime);
  const { dim } = pack.manifest.latent;
  const { latents, ...rest } = await photoInTheMiddle();
  const second = 8 * dim;
  const photoFirst: VideoPart = { ...rest, id: 'first', latents: Float32Array.from([...latents.subarray(second), ...latents.subarray(0, second)]) };
  const photoLast: VideoPart = { ...rest, id: 'last', latents: Float32Array.from([...latents.subarray(0, second), ...latents.subarray(2 * second), ...latents.subarray(second, 2 * second)]) };
  const [alone, both] = [new ChoiceScorer(chat, null), new ChoiceScorer(chat, search)];
  const choices = ['A dog runs through the grass.', 'Children playing in the snow!', 'Six xylophones.'];
  const scores = (scorer: ChoiceScorer, video: VideoPart, question: string, of = choices): Promise<readonly number[]> =>
    scorer.scores([{ role: 'user', content: [video, { type: 'text', text: question }] }], of);
  const best = (values: readonly number[]): string | undefined => choices[values.indexOf(Math.max(...values))];
  try {
    assert.equal(best(await scores(both, photoFirst, 'What happens first?')), choices[0]);
    assert.equal(best(await scores(both, photoLast, 'What happens at the end?')), choices[0]);
    const [there, elsewhere] = [await scores(both, photoFirst, 'What happens first?'), await scores(both, photoFirst, 'What happens at the end?')];
    assert.ok((there[0] as number) > (elsewhere[0] as number) + 1, `the dog is at the beginning: ${there.join(' ')}; ${elsewhere.join(' ')}`);

    const answers = ['Yes.', 'No.'];
    assert.deepEqual(await scores(both, photoFirst, 'Is there a dog?', answers), await scores(alone, photoFirst, 'Is there a dog?', answers));
    await assert.rejects(scores(both, photoFirst, 'Is there a dog?', ['Yes.', '']), RangeError);
    await assert.rejects(both.scores([{ role: 'user', content: [photoFirst] }], choices, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  } finally {
    await chat.release();
  }
});

test('a text tower that was let go is loaded again', async () => {
  await search.releaseText();
  const { text, vector } = expected.texts[0] as Fixture['texts'][number];
  assert.ok(cosine(await search.textVector(text), vector) > TEXT_COSINE);
});
