/** Which turns of a long conversation the model is shown. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ChatTemplate, ContextError } from '../../model/language/index.js';
import type { ChatMessage, VideoPart } from '../../projector/index.js';
import { fitConversation, joinNeighbors } from '../../projector/conversation.js';
import { firstKept } from '../../projector/first-kept.js';
import { buildPrompt, type PromptToken } from '../../projector/prompt.js';
import { byteTokenizer, CHATML } from '../helpers/byte-tokenizer.js';

const tokenizer = byteTokenizer();
const prompt = {
  system: '', photo_before: 'Photo: ', photo_after: '\n', video_before: '{n}:\n', frame_before: '{t} ', frame_after: '\n', max_frames: 4, default_question: 'What?',
};
const build = (messages: readonly ChatMessage[]): PromptToken[] =>
  buildPrompt(joinNeighbors(messages), { tokenizer, template: new ChatTemplate(CHATML), prompt, tokensPerFrame: 2 });

const videoTokens = (video: VideoPart): number => 2 * Math.min(4, video.times_s.length);

interface Room {
  readonly context: number;
  readonly answer?: number;
  readonly shortest?: number;
}

function fitted(messages: readonly ChatMessage[], { context, answer = 50, shortest = 10 }: Room): readonly PromptToken[] {
  return fitConversation(messages, { context, answer, shortest, tokensOf: (text) => tokenizer.encode(text).length, videoTokens, build });
}

/** The prompt as text, where a video is told by the letter that is its id, once a frame. */
function read(tokens: readonly PromptToken[]): string {
  let bytes: number[] = [];
  let text = '';
  const flush = (): void => {
    text += tokenizer.decode(bytes);
    bytes = [];
  };
  for (const token of tokens) {
    if (typeof token === 'number') bytes.push(token);
    else if (token.slot === 0) {
      flush();
      text += `[${token.video.id}]`;
    }
  }
  flush();
  return text;
}

const say = (role: ChatMessage['role'], text: string, ...videos: VideoPart[]): ChatMessage => ({ role, content: [...videos, { type: 'text', text }] });
const clip = (id: string, frames = 2): VideoPart => ({ type: 'video', id, version: '1', dim: 3, latents: new Float32Array(frames * 3), times_s: Array.from({ length: frames }, (_, i) => i) });

/** Questions and answers, the last question without one. */
function talk(turns: number, answer: (turn: number) => string = (turn) => `Answer ${turn}: ${'word '.repeat(20)}`): ChatMessage[] {
  return Array.from({ length: turns }, (_, turn) => [say('user', `Question ${turn}?`), say('assistant', answer(turn))]).flat().slice(0, -1);
}

describe('the first turn that is kept', () => {
  const from = (weights: readonly number[], step: number, most: number): number =>
    firstKept(weights, step, (turn) => weights.slice(turn).reduce((sum, weight) => sum + weight, 0) <= most);

  test('is the very first where all fit, and the last where nothing else does', () => {
    assert.equal(from([10, 10, 10], 20, 30), 0);
    assert.equal(from([10, 10, 10], 20, 5), 2);
    assert.equal(from([10], 20, 5), 0);
  });

  test('lies behind another step of weight, and stays while a conversation grows', () => {
    const places = Array.from({ length: 40 }, (_, more) => from(Array<number>(more + 1).fill(10), 40, 100));
    assert.deepEqual([...new Set(places)], [0, 4, 8, 12, 16, 20, 24, 28, 32]);
    for (const [more, place] of places.entries()) assert.ok((more + 1 - place) * 10 <= 100);
  });

  test('is the earliest that fits where no step lies among those that do', () => {
    assert.equal(from([10, 10, 10, 10, 10, 10], 1000, 30), 3);
  });
});

describe('a conversation that fits', () => {
  test('is shown whole, to the last token', () => {
    const messages = talk(4);
    const whole = build(messages);
    assert.deepEqual(fitted(messages, { context: whole.length + 50 }), whole);
    assert.ok(fitted(messages, { context: whole.length + 49 }).length < whole.length);
  });
});

describe('of a conversation that is too long', () => {
  test('the oldest turns are left out; system text, videos and the newest turns stay', () => {
    const messages = [say('system', 'Be kind.'), say('user', 'Look at this.', clip('a')), say('assistant', 'I see.'), ...talk(30)];
    const text = read(fitted(messages, { context: 600 }));
    assert.match(text, /Be kind\./);
    assert.match(text, /\[a\]/);
    assert.match(text, /Question 29\?/);
    assert.match(text, /Answer 28/);
    assert.doesNotMatch(text, /Look at this|Question 3\?/);
    assert.equal(text.split('[a]').length - 1, 2, 'once a frame');
    assert.match(text, /^system\nBe kind\.\nuser\n/, 'it begins with a question');
  });

  test('a video that a turn which stays shows, too, is shown there', () => {
    const messages = [...talk(9), say('assistant', 'Well.'), say('user', 'And this?', clip('b')), say('assistant', 'Nice.'), say('user', 'Sure?')];
    const text = read(fitted([say('user', 'See.', clip('b')), say('assistant', 'Yes.'), ...messages], { context: 500 }));
    assert.equal(text.split('[b]').length - 1, 2);
    assert.ok(text.indexOf('[b]') > text.indexOf('Question'));
  });

  for (const [language, word] of [['English', 'word '], ['German', 'Größe '], ['Russian', 'слово '], ['Chinese', '视频里'], ['Thai', 'เกิดอะไร'], ['emoji', '🐕‍🦺']] as const) {
    test(`as many tokens stay as have room, in ${language}`, () => {
      const messages = talk(40, (turn) => `${turn}: ${word.repeat(12)}`);
      const { length } = fitted(messages, { context: 1000, answer: 100 });
      assert.ok(length <= 900, `${length} tokens`);
      assert.ok(length >= 300, `${length} tokens: too much was left out`);
    });
  }

  test('what stays begins at the same turn for several questions, so that it need not be read anew', () => {
    let before: readonly PromptToken[] = [];
    let anew = 0;
    for (let turns = 1; turns <= 60; turns++) {
      const now = fitted(talk(turns), { context: 1500 });
      // The end of a prompt, where the answer begins, is the beginning of the answer's turn in the next one.
      if (!before.every((token, at) => token === now[at])) anew++;
      before = now;
    }
    assert.ok(anew > 0 && anew <= 12, `${anew} of 60 prompts began anew`);
  });

  test('the answer has its room, up to half of the context', () => {
    for (const answer of [1, 100, 400, 10_000]) {
      const { length } = fitted(talk(40), { context: 1000, answer });
      assert.ok(length <= 1000 - Math.min(answer, 500) && length >= 150, `${length} tokens beside an answer of ${answer}`);
    }
  });

  test('thousands of tiny turns cost a few prompts, not one each', () => {
    let built = 0;
    const messages = talk(3000, () => 'ok');
    const tokens = fitConversation(messages, {
      context: 2000, answer: 50, shortest: 10, tokensOf: (text) => tokenizer.encode(text).length, videoTokens,
      build: (kept) => {
        built++;
        return build(kept);
      },
    });
    assert.ok(tokens.length <= 1950);
    assert.ok(built <= 14, `${built} prompts were built`);
  });
});

describe('a video', () => {
  const shown = (between: number, frames = 2): string => read(fitted([say('user', 'Look.', clip('a', frames)), say('assistant', 'x'.repeat(between)), say('user', 'What?')], { context: 5000 }));

  test('stays where it was shown while the talk about it is short, and is shown beside the question once it is long', () => {
    assert.match(shown(150), /user\n2:\n.*\[a\][^]*Look\./);
    assert.match(shown(300), /^user\nLook\.[^]*user\n2:\n.*\[a\][^]*What\?/);
    assert.equal(shown(300).split('[a]').length - 1, 2, 'once a frame');
  });

  test('that is shown again later stays there; several keep their order', () => {
    const again = [say('user', 'A.', clip('a')), say('user', 'B.', clip('b')), say('assistant', 'x'.repeat(300)), say('user', 'C.', clip('a')), say('assistant', 'Yes.'), say('user', 'What?')];
    const text = read(fitted(again, { context: 5000 }));
    assert.ok(text.indexOf('[a]') > 0 && text.indexOf('[a]') < text.indexOf('What?'));
    const both = [say('user', 'A.', clip('a')), say('user', 'B.', clip('b')), say('assistant', 'x'.repeat(300)), say('user', 'What?')];
    assert.match(read(fitted(both, { context: 5000 })), /x{300}[^]*\[a\][^]*\[b\][^]*What\?/);
  });

  test('of more tokens than the talk is not read anew with each question', () => {
    const long = fitConversation([say('user', 'Look.', clip('a')), say('assistant', 'x'.repeat(300)), say('user', 'What?')], {
      context: 5000, answer: 50, shortest: 10, tokensOf: (text) => tokenizer.encode(text).length, videoTokens: () => 1000, build,
    });
    assert.match(read(long), /\[a\][^]*Look/);
  });
});

describe('the newest message', () => {
  test('is refused only where it does not fit alone, with the numbers', () => {
    const long = 'x'.repeat(600);
    const alone = build([say('user', long)]).length;
    assert.match(read(fitted([...talk(20), say('assistant', 'Yes.'), say('user', long)], { context: alone + 10 })), /^user\nx{600}/);
    assert.throws(() => fitted([...talk(20), say('assistant', 'Yes.'), say('user', long)], { context: alone + 9 }), (error) => {
      assert.ok(error instanceof ContextError);
      assert.deepEqual([error.needed, error.context], [alone + 10, alone + 9]);
      assert.match(error.message, /newest message/);
      return true;
    });
  });

  test('is asked where earlier questions got no answer, however many and long they are', () => {
    const failed = Array.from({ length: 30 }, (_, i) => say('user', `Try ${i}: ${'x'.repeat(100)}`));
    const text = read(fitted([...failed, say('user', 'And now?')], { context: 700 }));
    assert.match(text, /And now\?/);
    assert.equal(text.split('user\n').length - 1, 1, 'one message, as chat templates want it');
    assert.doesNotMatch(text, /Try 0/);
  });

  test('comes before videos that were shown earlier: those shown first are left out', () => {
    const messages = ['a', 'b', 'c', 'd'].flatMap((id) => [say('user', 'See.', clip(id, 4)), say('assistant', 'Yes.')]);
    const text = read(fitted([...messages, say('user', 'What?', clip('e', 4))], { context: 150 }));
    assert.deepEqual([...new Set(text.match(/\[\w\]/g))], ['[c]', '[d]', '[e]']);
    assert.throws(() => fitted([say('user', 'What?', ...['a', 'b', 'c', 'd', 'e'].map((id) => clip(id, 4)))], { context: 150 }), ContextError);
  });
});
