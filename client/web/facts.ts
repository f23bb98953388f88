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
    // Before there are pictures the file holds latents only: its size would promise too much.
    const known = ours !== null && video.container_stage !== 'latents';
    this.element.hidden = !known;
    if (!known) return;
    const most = Math.max(ours, theirs ?? 0);
    show(this.#container, ours, most);
    this.#original.row.hidden = theirs === null;
    if (theirs !== null) show(this.#original, theirs, most);
    setText(this.#verdict, theirs === null ? '' : verdict(ours, theirs, info));
    const psnr = video.psnr_db ?? video.progress?.psnr_db ?? null;
    const frames = video.encoded_frames ?? video.frames;
    this.#fill([
      [text.facts.quality, psnr === null ? null : text.facts.psnr(psnr.toFixed(1))],
      [text.facts.size, video.width === null || video.height === null ? null : text.facts.sizeValue(video.width, video.height)],
      [text.facts.length, video.kind === 'photo' || video.duration_s === null ? null : formatClock(video.duration_s)],
      [text.facts.frames, frames === null ? null : String(frames)],
      [text.facts.shots, info === null || info.frames === 1 ? null : String(info.shots.length)],
      [text.facts.warnings, video.warnings.length === 0 ? null : video.warnings.join(' ')],
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

/** How the sizes compare; at which picture size, since the encoded one is often smaller. */
function verdict(ours: number, theirs: number, info: ContainerInfo | null): string {
  const ratio = theirs / Math.max(1, ours);
  const words = ratio >= 1.05 ? text.facts.smaller(formatRatio(ratio)) : ratio > 0.95 ? text.facts.same : text.facts.larger(formatRatio(1 / ratio));
  return info === null ? words : text.facts.at(words, text.facts.sizeValue(info.width, info.height));
}
