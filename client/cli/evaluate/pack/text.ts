/** Section: whether the model can still talk without a video, as the unchanged language model does. */
import { askOnce, questionMessages } from '../../../../projector/ask.js';
import { perplexity } from '../../../metrics/perplexity.js';
import type { PackSection } from './section.js';

/** Answered in full within this many tokens, or left out: a text that breaks off says nothing of how it ends. */
const LONGEST_ANSWER = 96;

/** None of them is among the recipe's training prompts (weights/recipe/chat.py). */
const PROMPTS = [
  'Name three fruits.', 'What is the capital of France?', 'Why is the sky blue? Answer in one sentence.', 'Say hello in Spanish.',
  'What is a dictionary?', 'Write one sentence about the desert.', 'What do bees make?', 'How many legs does a spider have?',
  'What is ten minus four?', 'Give me a short tip for better handwriting.', 'What is the opposite of early?', 'Name two oceans.',
  'What is a compass used for? Answer in one sentence.', 'Write a short birthday wish.', 'What is the freezing point of water?',
  'Describe a good teacher in one sentence.', 'Who painted the Mona Lisa?', 'What is a verb?', 'Name four seasons.',
  'What should I drink when I am thirsty?', 'Explain what a map is in one sentence.', 'What is the plural of mouse?',
  'Write one sentence about rain.', 'Which animal says meow?', 'What is a triangle?', 'Tell me a short fact about the sun.',
  'What do you call a baby dog?', 'What is the first month of the year?', 'Give one reason to read books.', 'What is paper made of?',
  'How do I say thank you in French?', 'What is a kitchen for? Answer in one sentence.',
];

export const textSection: PackSection = {
  name: 'text',
  help: "perplexity of the unchanged language model's own answers, against that model's",
  missing: ({ models }) => (models.pack.manifest.adapter === undefined ? 'needs a pack with an adapter' : null),
  async run({ models, limit, progress, signal }) {
    const { ChatModel } = await import('../../../../projector/index.js');
    const unchanged = await ChatModel.load(models.pack, models.runtime, { adapter: false });
    try {
      const tuned = await models.chat();
      const prompts = PROMPTS.slice(0, limit);
      const before = [];
      const after = [];
      for (const [done, prompt] of prompts.entries()) {
        progress.update({ label: 'text', done, total: prompts.length, unit: 'answers' });
        const messages = questionMessages(null, prompt);
        const { text, finish } = await askOnce({ chat: () => Promise.resolve(unchanged) }, null, prompt, { maxTokens: LONGEST_ANSWER, signal });
        if (finish !== 'stop' || text.trim() === '') continue;
        before.push(...(await unchanged.score(messages, [text.trim()], { signal })));
        after.push(...(await tuned.score(messages, [text.trim()], { signal })));
      }
      progress.clear();
      if (before.length === 0) return [];
      return [{ key: 'text_perplexity', what: 'text-only answers: perplexity against the unchanged model', count: before.length, value: perplexity(after) / perplexity(before), blind: null, reach: '1.1 or less' }];
    } finally {
      await unchanged.release();
    }
  },
};
