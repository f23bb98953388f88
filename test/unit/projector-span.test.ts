/** Which questions name a part of a video, which part that is, and what they ask about it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askedSpan, cutVideo, focusOf, stretchOf, type ChatMessage, type Span, type VideoPart } from '../../projector/index.js';
import { randomNumbers } from '../helpers/random.js';

const seconds = (from: number, to: number): Span => ({ kind: 'seconds', from, to });
const point = (at: number): Span => ({ kind: 'point', at });
const [beginning, middle, end] = (['beginning', 'middle', 'end'] as const).map((kind): Span => ({ kind }));

describe('a question that names a part', () => {
  const cases: readonly (readonly [string, Span | undefined, string | null])[] = [
    ['What happens at 0:30?', point(30), null],
    ['What is happening at 1:02:05?', point(3725), null],
    ['What do you see at 12 seconds', point(12), null],
    ["What color is the car at the 12 second mark?", point(12), "What color is the car?"],
    ['What color is the car at about 12.5 s?', point(12.5), 'What color is the car?'],
    ['At 0:12, what is the man doing?', point(12), 'What is the man doing?'],
    ['Describe 10 seconds into the video', point(10), null],
    ['What happens at second 5?', point(5), null],
    ['What happens at 9:30:00?', point(34_200), null],
    ['What happens at 120:00:00?', point(432_000), null],
    ['What is seen at 1000000 seconds?', point(1_000_000), null],
    ['What happens at 2 hours?', point(7200), null],
    ['What color is it at 1 h 30 min 5 s?', point(5405), 'What color is it?'],
    ['What happens after an hour and 10 minutes?', seconds(4200, Infinity), null],
    ['What happens between 1 and 2 hours?', seconds(3600, 7200), null],
    ['What happens between 5 and 10 seconds?', seconds(5, 10), null],
    ['What happens between 0:20 and 0:10?', seconds(10, 20), null],
    ['Describe the video from 1 minute to 2 minutes.', seconds(60, 120), null],
    ['Is there a dog from 3 s to 8 s?', seconds(3, 8), 'Is there a dog?'],
    ['What happens between one and two minutes?', seconds(60, 120), null],
    ['What happens from 1m10s to 1m20s?', seconds(70, 80), null],
    ['What happens after 1 minute 30 seconds?', seconds(90, Infinity), null],
    ['What do you see before 0:10?', seconds(0, 10), null],
    ['What happens in the first ten seconds?', seconds(0, 10), null],
    ['What happens in the last minute of the video?', { kind: 'last', seconds: 60 }, null],
    ['What color is the shirt in the last second?', { kind: 'last', seconds: 1 }, 'What color is the shirt?'],
    ['Who is there in the last 5 seconds?', { kind: 'last', seconds: 5 }, 'Who is there?'],
    ['What happens in the first seconds?', beginning, null],
    ['What happens first?', beginning, null],
    ['What do you see last?', end, null],
    ['And what happens last?', end, null],
    ['What is at the beginning?', beginning, null],
    ['What happens at the end?', end, null],
    ['What happens at the end of the video?', end, null],
    ['At the end, what color is the car?', end, 'What color is the car?'],
    ['Is there a boat in the last scene?', end, 'Is there a boat?'],
    ['How does the video end?', end, null],
    ['What happens in the middle of the clip?', middle, null],
    ["What's happening at the very start of this video?", beginning, null],
  ];
  for (const [question, span, rest] of cases) {
    test(`"${question}"`, () => {
      const asked = askedSpan(question);
      assert.deepEqual([asked?.span, asked?.rest], [span, rest]);
    });
  }
});

describe('any other question', () => {
  const cases = [
    'What happens?', 'Describe the video.', 'What is at the end of the street?', 'Who is in the middle?', 'What color is the first dog?', 'Who comes first in the race?',
    'Summarise this in 2 minutes', 'Describe it in 10 seconds', 'Is it 5:30 pm?', 'Is it 5 to 10 seconds long?', 'What happens at 5:30 pm?', 'How many seconds is it?', 'When does the dog appear?',
    'What happens when the dog jumps?', 'Is there a first aid kit?', 'What happens before the dog jumps?', 'Which number is at the start of the line of people?', '', '?', 'at the', '0:30',
  ];
  for (const question of cases) test(`"${question}" names none`, () => assert.equal(askedSpan(question), null));

  test('neither does a long text, and one made to be slow is read at once', () => {
    assert.equal(askedSpan(`What happens at the end? ${'It is long. '.repeat(30)}`), null);
    const started = performance.now();
    for (const piece of ['1 minute and ', 'between 1 and ', 'at the very ', '1:00:', 'from a to a ', '\u0130 ']) askedSpan(piece.repeat(200).slice(0, 300));
    assert.ok(performance.now() - started < 1000);
  });
});

/** A video of scenes of so many frames, `step` seconds apart. */
function video(scenes: readonly number[], step: number): VideoPart {
  const random = randomNumbers(2);
  const dim = 16;
  const latents = scenes.flatMap((frames) => {
    const centre = Array.from({ length: dim }, () => random.normal());
    return Array.from({ length: frames }, () => centre.map((value) => value + 0.05 * random.normal())).flat();
  });
  const count = scenes.reduce((sum, frames) => sum + frames, 0);
  return { type: 'video', id: 'v', dim, latents: Float32Array.from(latents), times_s: Array.from({ length: count }, (_, t) => (t + 0.5) * step), version: '1' };
}

describe('the frames of a part', () => {
  const three = video([8, 20, 12], 0.5);
  const frames = (span: Span, of = three): [number, number] | null => {
    const stretch = stretchOf(of, span);
    return stretch && [stretch.first, stretch.end];
  };

  test('are those shown within its seconds, at least one', () => {
    assert.deepEqual(frames(seconds(4, 6)), [7, 12]);
    assert.deepEqual(frames(seconds(4.3, 4.4)), [8, 9]);
    assert.deepEqual(frames(seconds(0, 1)), [0, 2]);
    assert.deepEqual(frames(seconds(19, Infinity)), [37, 40]);
    assert.deepEqual(frames({ kind: 'last', seconds: 2 }), [36, 40]);
    assert.deepEqual(frames({ kind: 'last', seconds: 500 }), [0, 40]);
    assert.equal(frames(seconds(30, 31)), null);
    assert.deepEqual(frames(point(4.9)), [7, 12]);
    assert.deepEqual(frames(point(20.25)), [38, 40]);
    assert.equal(frames(point(20.5)), null, 'half a second after the end is after the end');
  });

  test('are the first and the last shot, or a third of a video of one', () => {
    assert.deepEqual(frames(beginning as Span), [0, 8]);
    assert.deepEqual(frames(end as Span), [28, 40]);
    const one = video([30], 0.5);
    assert.deepEqual([frames(beginning as Span, one), frames(middle as Span, one), frames(end as Span, one)], [[0, 10], [10, 20], [20, 30]]);
    const short = video([2], 1);
    assert.deepEqual([frames(beginning as Span, short), frames(end as Span, short)], [[0, 1], [1, 2]]);
  });

  test('end with the video, of which only some frames may be known yet', () => {
    const glance: VideoPart = { ...video([8], 1), times_s: [1, 3, 5, 7, 9, 11, 13, 15], duration_s: 16 };
    assert.equal(stretchOf(glance, seconds(14, Infinity))?.end_s, 16);
    assert.equal(stretchOf(glance, point(16.5)), null, 'though frames that are as far apart would end at 17');
    assert.deepEqual(stretchOf(glance, { kind: 'last', seconds: 3 }), { first: 6, end: 8, start_s: 13, end_s: 16 });
    assert.equal(stretchOf({ ...glance, duration_s: 0 }, point(16.5))?.end_s, 17, 'where a file does not say how long it is, its frames do');
    assert.equal(stretchOf({ ...glance, duration_s: 2 }, point(14))?.end_s, 15, 'no frame comes after the end');
    assert.equal(cutVideo(glance, { first: 6, end: 8 }).duration_s, 3);
    assert.equal(cutVideo(glance, { first: 2, end: 4 }).duration_s, 4);
  });

  test('have their seconds', () => {
    const { start_s, end_s } = stretchOf(three, end as Span) ?? {};
    assert.deepEqual([start_s, end_s], [14.25, 20.25]);
    assert.equal(stretchOf(three, beginning as Span)?.start_s, 0);
  });
});

describe('a conversation about a part', () => {
  const clip = video([8, 20, 12], 0.5);
  const user = (...content: ChatMessage['content']): ChatMessage => ({ role: 'user', content });
  const text = (words: string) => ({ type: 'text', text: words }) as const;
  const shown = (messages: readonly ChatMessage[] | undefined): string[] =>
    (messages ?? []).map(({ content }) => content.map((part) => (part.type === 'video' ? `<${part.times_s.length} frames>` : part.text)).join(' '));

  test('shows its frames alone, and asks the default question where nothing else is asked', () => {
    assert.deepEqual(shown(focusOf([user(clip, text('What happens at the end?'))], 'Describe.')?.messages), ['<12 frames> Describe.']);
    const earlier = [user(clip, text('Is there a dog?')), { role: 'assistant', content: [text('Yes.')] } as const];
    assert.deepEqual(shown(focusOf([...earlier, user(text('What happens first?'))], 'Describe.')?.messages), ['<8 frames> Describe.']);
  });

  test('keeps what was said where the question needs words for it', () => {
    const earlier = [user(clip, text('Is there a dog?')), { role: 'assistant', content: [text('Yes.')] } as const];
    assert.deepEqual(shown(focusOf([...earlier, user(text('What color is it at the end?'))], 'Describe.')?.messages), ['<12 frames> Is there a dog?', 'Yes.', 'What color is it?']);
    assert.deepEqual(shown(focusOf([user(text('Hello')), user(clip, text('Who is there at 0:01?'))], 'Describe.')?.messages), ['Hello', '<4 frames> Who is there?']);
  });

  test('is none for photos, other questions and no video; past the end there is no part', () => {
    assert.equal(focusOf([user(video([1], 1), text('What happens first?'))], 'Describe.'), null);
    assert.equal(focusOf([user(clip, text('What happens?'))], 'Describe.'), null);
    assert.equal(focusOf([user(text('What happens first?'))], 'Describe.'), null);
    assert.equal(focusOf([user(clip, text('What happens at 5:00?'))], 'Describe.')?.stretch, null);
  });
});
