import type { Video } from '../sdk/index.js';
import type { ContainerInfo } from './decoder-protocol.js';
import { el, setText } from './dom.js';
import { formatBytes, formatClock, formatRatio } from './format.js';
import { text } from './strings.js';

interface Bar {
  readonly row: HTMLElement;
  readonly fill: HTMLElement;
  readonly value: HTMLElement;
}

/** What a video weighs as latents against its original, and what is in it. */
export class Facts {
  readonly element: HTMLElement;
  readonly #container = bar(text.facts.container, 'is-container');
  readonly #original = bar(text.facts.original, 'is-original');
  readonly #verdict = el('p', { class: 'facts-verdict' });
  readonly #list = el('dl', { class: 'facts-list' });

  constructor() {
    this.element = el(
      'section',
      { class: 'facts' },
      el('div', { class: 'facts-bytes' }, this.#container.row, this.#original.row, this.#verdict),
      this.#list,
    );
  }

  update(video: Video, info: ContainerInfo | null): void {
    const { container_bytes: ours, source_bytes: theirs } = video;
    this.element.hidden = ours === null;
    if (ours === null) return;
    const most = Math.max(ours, theirs ?? 0);
    show(this.#container, ours, most);
    this.#original.row.hidden = theirs === null;
    if (theirs !== null) show(this.#original, theirs, most);
    setText(this.#verdict, theirs === null ? '' : verdict(ours, theirs));
    const psnr = video.psnr_db ?? video.progress?.psnr_db ?? null;
    const frames = video.encoded_frames ?? video.frames;
    this.#fill([
      [text.facts.quality, psnr === null ? null : text.facts.psnr(psnr.toFixed(1))],
      [text.facts.size, video.width === null || video.height === null ? null : text.facts.sizeValue(video.width, video.height)],
      [text.facts.length, length(video, frames)],
      [text.facts.latents, info === null ? null : text.facts.latentsValue(info.frames, info.latentDim)],
    ]);
  }

  #fill(facts: readonly (readonly [string, string | null])[]): void {
    const known = facts.filter((fact): fact is readonly [string, string] => fact[1] !== null);
    if (known.length !== this.#list.children.length) {
      this.#list.replaceChildren(...known.map(() => el('div', {}, el('dt'), el('dd'))));
    }
    known.forEach(([name, value], index) => {
      const [term, description] = this.#list.children[index]?.children ?? [];
      if (term) setText(term, name);
      if (description) setText(description, value);
    });
  }
}

function bar(name: string, kind: string): Bar {
  const level = el('span', { class: 'facts-fill' });
  const value = el('span', { class: 'facts-value' });
  const track = el('span', { class: `facts-track ${kind}`, attrs: { 'aria-hidden': 'true' } }, level);
  return { row: el('div', { class: 'facts-row' }, el('span', { class: 'facts-name', text: name }), track, value), fill: level, value };
}

function show(row: Bar, bytes: number, most: number): void {
  row.fill.style.inlineSize = `${(100 * bytes) / Math.max(1, most)}%`;
  setText(row.value, formatBytes(bytes));
}

function verdict(ours: number, theirs: number): string {
  const ratio = theirs / Math.max(1, ours);
  if (ratio >= 1.05) return text.facts.smaller(formatRatio(ratio));
  if (ratio > 0.95) return text.facts.same;
  return text.facts.larger(formatRatio(1 / ratio));
}

function length(video: Video, frames: number | null): string | null {
  if (frames === null) return null;
  if (video.kind === 'photo' || video.duration_s === null) return text.state.frames(frames);
  return text.facts.lengthValue(formatClock(video.duration_s), text.state.frames(frames));
}
