import { el } from './dom.js';

/** One of a few options as a row of radio buttons. */
export interface Option<T> {
  readonly value: T;
  readonly label: string;
  /** What a screen reader says and a pointer is told. */
  readonly title: string;
}

/** @param name unique on the page. The first option is chosen at first. */
export function choice<T extends string | number>(name: string, legend: string, options: readonly Option<T>[], choose: (value: T) => void): HTMLFieldSetElement {
  const labels = options.map(({ value, label, title }, index) => {
    const input = el('input', { attrs: { type: 'radio', name, value, checked: index === 0, 'aria-label': title }, on: { change: () => choose(value) } });
    return el('label', { class: 'segment', attrs: { title } }, input, el('span', { text: label }));
  });
  return el('fieldset', { class: 'segments' }, el('legend', { class: 'segments-name', text: legend }), ...labels);
}
