import type { Video } from '../sdk/index.js';
import { Composer } from './composer.js';
import type { Conversation, ConversationChange, Message } from './conversation.js';
import { el, icon, setText } from './dom.js';
import { asMarkdown, save } from './export.js';
import { Follower } from './follower.js';
import { MessageView } from './message-view.js';
import { Signal } from './signal.js';
import { SpokenAnswer } from './spoken-answer.js';
import { text } from './strings.js';

/** The chat about the shown video. */
export class ChatView {
  readonly element: HTMLElement;
  readonly composer: Composer;
  /** The last question of the shown conversation, whenever that is another one; null where there is none. */
  readonly questioned = new Signal<string | null>();
  readonly #log = el('div', { class: 'chat-log', attrs: { role: 'log', 'aria-live': 'off', 'aria-label': text.chat.label, tabindex: 0 } });
  readonly #empty = el('div', { class: 'chat-empty' });
  readonly #restart: HTMLButtonElement;
  readonly #export: HTMLButtonElement;
  readonly #showMoment: (start_s: number) => void;
  #question: string | null = null;
  readonly #note = el('p', { class: 'chat-disclaimer', text: text.chat.disclaimer });
  readonly #spoken = new SpokenAnswer();
  readonly #follower = new Follower(this.#log);
  #views: MessageView[] = [];
  #conversation: Conversation | null = null;
  #unlisten: (() => void) | null = null;
  #video: Video | null = null;
  #arriving = false;
  #online = false;
  /** What the empty state was last made for. */
  #emptyFor = '';

  /** @param showMoment shows a moment of the video, in seconds */
  constructor(showMoment: (start_s: number) => void) {
    this.#showMoment = showMoment;
    this.composer = new Composer({ ask: (question) => this.#ask(question), stop: () => void this.#conversation?.stop() });
    this.#restart = el('button', { class: 'text-button', attrs: { type: 'button' }, on: { click: () => this.#conversation?.restart() } }, icon('plus'), el('span', { text: text.chat.newConversation }));
    this.#export = el('button', { class: 'text-button', attrs: { type: 'button', title: text.chat.exportLabel }, on: { click: () => this.#save() } }, icon('save'), el('span', { text: text.chat.export }));
    this.element = el(
      'section',
      { class: 'chat', attrs: { 'aria-label': text.chat.label } },
      el('div', { class: 'pane-head' }, el('h2', { text: text.chat.title }), el('div', { class: 'pane-actions' }, this.#export, this.#restart)),
      this.#log,
      this.#spoken.element,
      el('div', { class: 'chat-foot' }, this.composer.element, this.#note),
    );
    this.#log.append(this.#empty);
    this.#render();
  }

  /**
   * Shows the conversation about a video; called again whenever the video changed.
   * @param arriving a file on its way is shown instead of a video
   */
  show(video: Video | null, conversation: Conversation | null, arriving: boolean): void {
    this.#video = video;
    this.#arriving = arriving;
    if (this.#conversation !== conversation) {
      this.#unlisten?.();
      this.#conversation = conversation;
      this.#unlisten = conversation?.changed.listen((change) => this.#changed(change)) ?? null;
      this.#renderMessages();
      this.#follower.toEnd({ page: false });
      this.#spoken.clear();
    }
    this.#render();
  }

  setOnline(online: boolean): void {
    this.#online = online;
    for (const view of this.#views) this.#update(view);
    this.#render();
  }

  /** Stops the running answer; false where there was none. */
  stop(): boolean {
    if (!this.#conversation?.answering) return false;
    void this.#conversation.stop();
    return true;
  }

  #ask(question: string): void {
    void this.#conversation?.ask(question);
    this.#follower.toEnd();
  }

  #changed(change: ConversationChange): void {
    if (change === null) this.#renderMessages();
    const last = this.#views.at(-1);
    // Whether questions can be edited changes with the status of the last message.
    for (const view of this.#views) if (change === null || view.message === change || view.message.role === 'user') this.#update(view);
    this.#render();
    if (last && last.message.role === 'assistant') this.#spoken.follow(last.message);
    this.#follower.grew();
  }

  #renderMessages(): void {
    const messages = this.#conversation?.messages ?? [];
    const known = new Map(this.#views.map((view) => [view.message, view]));
    this.#views = messages.map((message) => known.get(message) ?? this.#view(message));
    this.#log.replaceChildren(this.#empty, ...this.#views.map((view) => view.element));
    for (const view of this.#views) this.#update(view);
    this.#tellQuestion();
  }

  #view(message: Message): MessageView {
    return new MessageView(message, {
      again: () => void this.#conversation?.again(),
      edit: (words) => void this.#conversation?.edit(message, words),
      moment: this.#showMoment,
    });
  }

  #update(view: MessageView): void {
    view.update(view === this.#views.at(-1), this.#online && !(this.#conversation?.answering ?? false));
  }

  #tellQuestion(): void {
    const question = this.#views.findLast(({ message }) => message.role === 'user')?.message.text ?? null;
    if (question === this.#question) return;
    this.#question = question;
    this.questioned.emit(question);
  }

  #save(): void {
    const name = (this.#video?.name ?? '').replace(/\.[^.]*$/, '');
    save(text.chat.exportName(name), asMarkdown(name, this.#conversation?.messages ?? []));
  }

  #render(): void {
    const video = this.#video;
    const answering = this.#conversation?.answering ?? false;
    const ready = this.#online && video !== null && video.askable;
    this.composer.update({ placeholder: this.#placeholder(), ready: ready && !answering, answering });
    this.#restart.hidden = this.#export.hidden = this.#views.length === 0;
    this.#empty.hidden = this.#views.length > 0 || (video === null && !this.#arriving) || (video !== null && video.state === 'failed' && !video.askable);
    this.#renderEmpty(video, ready);
  }

  #placeholder(): string {
    const video = this.#video;
    if (!video) return this.#arriving ? text.chat.placeholderWaiting : text.chat.placeholderNone;
    if (!this.#online) return text.chat.placeholderOffline;
    if (video.askable) return video.kind === 'photo' ? text.chat.placeholderPhoto : text.chat.placeholder;
    return video.state === 'failed' ? text.chat.placeholderFailed : text.chat.placeholderWaiting;
  }

  /** What to ask, while nothing has been asked. */
  #renderEmpty(video: Video | null, ready: boolean): void {
    const waiting = video === null || !video.askable;
    const shownFor = `${video?.kind ?? ''}/${ready}/${waiting}`;
    if (this.#emptyFor === shownFor) return;
    this.#emptyFor = shownFor;
    const suggestions = video?.kind === 'photo' ? text.chat.suggestionsPhoto : text.chat.suggestionsVideo;
    const chips = suggestions.map((question) => {
      const chip = el('button', { class: 'chip', text: question, attrs: { type: 'button' }, on: { click: () => this.#ask(question) } });
      chip.disabled = !ready;
      return chip;
    });
    const title = el('p', { class: 'chat-empty-title' });
    setText(title, waiting ? text.chat.emptyWaiting : text.chat.empty);
    this.#empty.replaceChildren(title, el('p', { class: 'chat-empty-text', text: waiting ? text.chat.emptyWaitingText : text.chat.emptyText }), el('div', { class: 'chips' }, ...chips));
  }
}
