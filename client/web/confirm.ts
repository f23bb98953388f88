import { el } from './dom.js';
import { text } from './strings.js';

/** Asks whether a video is to be removed for good. Escape and a click outside mean no. */
export function confirmRemoval(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const title = el('h2', { class: 'dialog-title', text: text.library.removeTitle, attrs: { id: 'dialog-title' } });
    const dialog = el(
      'dialog',
      { class: 'dialog', attrs: { 'aria-labelledby': 'dialog-title' } },
      title,
      el('p', { class: 'dialog-text', text: text.library.removeText(name) }),
      el(
        'div',
        { class: 'dialog-buttons' },
        el('button', { class: 'button', text: text.library.cancel, attrs: { type: 'button', autofocus: true }, on: { click: () => dialog.close('') } }),
        el('button', { class: 'button button-danger', text: text.library.removeConfirm, attrs: { type: 'button' }, on: { click: () => dialog.close('remove') } }),
      ),
    );
    dialog.addEventListener('click', (event) => {
      if (event.target === dialog) dialog.close('');
    });
    dialog.addEventListener('close', () => {
      resolve(dialog.returnValue === 'remove');
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
