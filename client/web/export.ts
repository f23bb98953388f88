import type { Message } from './conversation.js';
import { el } from './dom.js';
import { formatTime } from './format.js';
import { text } from './strings.js';

/** A conversation as Markdown: who said what, with the moments of the video that answers speak of. */
export function asMarkdown(video: string, messages: readonly Message[]): string {
  const parts = messages.filter((message) => message.text !== '').map(({ role, text: words, moments }) => {
    const times = moments.map(({ start_s, end_s }) => text.chat.moment(formatTime(start_s), formatTime(end_s)));
    return [`**${role === 'user' ? text.chat.you : text.chat.model}**`, words, ...(times.length > 0 ? [`${text.chat.moments}: ${times.join(', ')}`] : [])].join('\n\n');
  });
  return `# ${text.chat.exportTitle(video)}\n\n${parts.join('\n\n')}\n`;
}

/** Offers a text to be saved as a file. */
export function save(name: string, content: string): void {
  const url = URL.createObjectURL(new Blob([content], { type: 'text/markdown' }));
  el('a', { attrs: { href: url, download: name } }).click();
  // The browser has taken hold of it by the next turn.
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
