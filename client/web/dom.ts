/** What an element can be given when it is made. User text only ever enters through `text` or string children: never as markup. */
export interface Props {
  readonly class?: string;
  readonly text?: string;
  /** Attributes; true writes an empty one, false and null leave it out. */
  readonly attrs?: Readonly<Record<string, string | number | boolean | null>>;
  readonly on?: { readonly [E in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[E]) => void };
}

export type Child = Node | string | null;

/** Makes an element with its properties and children. */
export function el<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (props.class) element.className = props.class;
  if (props.text !== undefined) element.textContent = props.text;
  for (const [name, value] of Object.entries(props.attrs ?? {})) setAttribute(element, name, value);
  for (const [name, listener] of Object.entries(props.on ?? {})) element.addEventListener(name, listener as EventListener);
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

/** Writes an attribute; true writes an empty one, false and null remove it. */
export function setAttribute(element: Element, name: string, value: string | number | boolean | null): void {
  if (value === false || value === null) element.removeAttribute(name);
  else element.setAttribute(name, value === true ? '' : String(value));
}

/** Sets text only when it differs, so that a screen reader is not told the same twice and selections survive. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Shapes of the icons, drawn on a 20 x 20 grid. Filled ones name it. */
const icons = {
  play: { path: 'M6.5 4.2v11.6a.6.6 0 0 0 .92.5l9-5.8a.6.6 0 0 0 0-1l-9-5.8a.6.6 0 0 0-.92.5Z', filled: true },
  pause: { path: 'M6 4h2.6v12H6zM11.4 4H14v12h-2.6z', filled: true },
  replay: { path: 'M4 10a6 6 0 1 0 2-4.5M6.2 2.6v3.2h3.2', filled: false },
  plus: { path: 'M10 4v12M4 10h12', filled: false },
  send: { path: 'M10 16V4.5M5 9l5-5 5 5', filled: false },
  stop: { path: 'M6 5h8a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1Z', filled: true },
  trash: { path: 'M4 6h12M8 6V4.4h4V6M5.6 6l.7 10h7.4l.7-10M8.5 9v4.5M11.5 9v4.5', filled: false },
  copy: { path: 'M8 7h8v9.5H8zM12 7V3.5H4V13h4', filled: false },
  check: { path: 'm4.5 10.5 3.6 3.6 7.4-8', filled: false },
  warning: { path: 'M10 3.2 17.6 16.5H2.4zM10 8v4M10 14.2v.1', filled: false },
  edit: { path: 'm4 16 .8-3.6L13 4.2l2.8 2.8-8.2 8.2zM11.4 5.8l2.8 2.8', filled: false },
  save: { path: 'M10 3.5v8.5M6.5 8.8 10 12.2l3.5-3.4M4 15.8h12', filled: false },
  sun: { path: 'M10 6.7a3.3 3.3 0 1 1 0 6.6 3.3 3.3 0 0 1 0-6.6ZM10 2v1.6M10 16.4V18M2 10h1.6M16.4 10H18M4.3 4.3l1.2 1.2M14.5 14.5l1.2 1.2M4.3 15.7l1.2-1.2M14.5 5.5l1.2-1.2', filled: false },
  moon: { path: 'M16.2 11.9A6.6 6.6 0 0 1 8.1 3.8a6.6 6.6 0 1 0 8.1 8.1Z', filled: false },
  close: { path: 'm5 5 10 10M15 5 5 15', filled: false },
} as const;

export type IconName = keyof typeof icons;

const svgNamespace = 'http://www.w3.org/2000/svg';

/** A decorative icon in the colour of the text around it; what it stands for must be said in words beside it or in a label. */
export function icon(name: IconName): SVGSVGElement {
  const { path, filled } = icons[name];
  const svg = document.createElementNS(svgNamespace, 'svg');
  svg.setAttribute('viewBox', '0 0 20 20');
  svg.setAttribute('class', filled ? 'icon icon-filled' : 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const shape = document.createElementNS(svgNamespace, 'path');
  shape.setAttribute('d', path);
  svg.append(shape);
  return svg;
}

/** Scrolls an element inside its own scroller only, never the page. */
export function revealIn(scroller: HTMLElement, element: HTMLElement): void {
  const outer = scroller.getBoundingClientRect();
  const inner = element.getBoundingClientRect();
  if (inner.left < outer.left) scroller.scrollLeft -= outer.left - inner.left;
  else if (inner.right > outer.right) scroller.scrollLeft += inner.right - outer.right;
  if (inner.top < outer.top) scroller.scrollTop -= outer.top - inner.top;
  else if (inner.bottom > outer.bottom) scroller.scrollTop += inner.bottom - outer.bottom;
}
