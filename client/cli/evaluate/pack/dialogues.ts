/** Section: conversations of a few turns, written by hand: whether the last answer fits. */
import { momentFinder, replyTo } from '../../../../projector/ask.js';
import type { ChatMessage } from '../../../../projector/index.js';
import type { Models } from '../../../../projector/library/models.js';
import { type DialogueDatum, readDialogueData } from '../data.js';
import { SourceViews } from '../views.js';
import type { PackSection } from './section.js';

const ANSWER_TOKENS = 48;

export const dialogueSection: PackSection = {
  name: 'dialogues',
  help: 'conversations: questions about what is not there, "Are you sure?", "Why?", and what "he" and "they" are',
  missing: ({ dialogues }) => (dialogues === null ? 'needs --dialogues: `recipe.py --steps evaluation` writes them' : null),
  async run({ models, dialogues, limit, progress, signal }) {
    const data = (await readDialogueData(dialogues as string)).slice(0, limit);
    let fitting = 0;
    for (const [done, dialogue] of data.entries()) {
      progress.update({ label: 'dialogues', done, total: data.length, unit: 'dialogues' });
      const answer = await lastAnswer(dialogue, models, signal);
      if (dialogue.fits.test(answer)) fitting++;
      else progress.note(`${dialogue.id}, "${dialogue.turns.at(-1) ?? ''}": ${answer}`);
    }
    progress.clear();
    return [{ key: 'dialogues', what: 'last turns of dialogues answered fittingly', count: data.length, value: fitting / data.length, blind: null, reach: '' }];
  },
};

async function lastAnswer(dialogue: DialogueDatum, models: Models, signal: AbortSignal): Promise<string> {
  const views = new SourceViews(dialogue, { decoded: false, moments: true }, models, { containers: '', preset: 'draft' });
  const video = await views.video('latents', signal);
  const finder = momentFinder(models);
  const messages: ChatMessage[] = [];
  let answer = '';
  for (const [i, turn] of dialogue.turns.entries()) {
    const shown = i === 0 && video !== null ? [video] : [];
    messages.push({ role: 'user', content: [...shown, { type: 'text', text: turn }] });
    ({ text: answer } = await replyTo(models, messages, { maxTokens: ANSWER_TOKENS, signal }, finder));
    messages.push({ role: 'assistant', content: [{ type: 'text', text: answer }] });
  }
  return answer;
}
