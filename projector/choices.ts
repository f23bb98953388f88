/** Which of several given answers is the right one: multiple choice. */
import type { Likelihood } from '../model/language/index.js';
import { likenessRank, type Likeness } from './captions.js';
import type { ChatModel } from './chat-model.js';
import { asksWhatIsSeen, focusOf } from './focus.js';
import type { ChatMessage } from './messages.js';

export class ChoiceScorer {
  /** Of choices that are asked for again, of another view of the same video say. */
  readonly #usual = new WeakMap<readonly string[], readonly Likelihood[]>();

  /** @param towers null: the language model alone decides */
  constructor(
    private readonly chat: ChatModel,
    private readonly towers: Likeness | null,
  ) {}

  /**
   * How well each of `choices` answers the last message, the highest best; compare them with each other only.
   *
   * Choices that say what is seen, in the whole video or in the part a question names, are ranked as captions are: by their log probability a token
   * and how like the frames the towers find them. Any others by how much question and video make each likelier than it is where nothing is asked
   * about no video (domain-conditional pointwise mutual information, Holtzman et al. 2021), else a rare word would lose wherever it is right.
   *
   * @returns in the order of `choices`
   * @throws as ChatModel.score
   */
  async scores(messages: readonly ChatMessage[], choices: readonly string[], options: { readonly signal?: AbortSignal } = {}): Promise<readonly number[]> {
    const { chat, towers } = this;
    const asked = focusOf(messages, chat.defaultQuestion)?.messages ?? messages;
    const scores = await chat.score(asked, choices, options);
    if (towers !== null && asksWhatIsSeen(asked, chat.defaultQuestion)) {
      const likeness = await likenessRank(towers)(choices, asked);
      return scores.map(({ logProbability, tokens }, i) => logProbability / tokens + (likeness[i] as number));
    }
    const usual = await this.#usualOf(choices, options);
    return scores.map(({ logProbability }, i) => logProbability - (usual[i] as Likelihood).logProbability);
  }

  async #usualOf(choices: readonly string[], options: { readonly signal?: AbortSignal }): Promise<readonly Likelihood[]> {
    const known = this.#usual.get(choices);
    if (known !== undefined) return known;
    const question: ChatMessage = { role: 'user', content: [{ type: 'text', text: this.chat.defaultQuestion }] };
    const usual = await this.chat.score([question], choices, options);
    this.#usual.set(choices, usual);
    return usual;
  }
}
