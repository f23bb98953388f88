import type { Video } from '../sdk/index.js';
import { el, icon, revealIn, setAttribute, setText } from './dom.js';
import { formatBytes, formatClock, formatShare } from './format.js';
import type { Library, Upload } from './library.js';
import { text } from './strings.js';

export interface LibraryActions {
  readonly select: (video: Video) => void;
  readonly choose: () => void;
  readonly remove: (video: Video) => void;
  /** Paints a video's thumbnail once its entry has been seen; called again when its container changed. */
  readonly thumbnail: (video: Video, canvas: HTMLCanvasElement) => void;
}

interface Entry {
  readonly row: HTMLLIElement;
  readonly button: HTMLButtonElement;
  readonly name: HTMLElement;
  readonly meta: HTMLElement;
  readonly bar: HTMLProgressElement;
  readonly canvas: HTMLCanvasElement;
  video: Video;
  seen: boolean;
  painted: string | null;
}

/** The list of videos and running uploads at the left, a strip above the player on narrow screens. */
export class LibraryView {
  readonly element: HTMLElement;
  readonly #library: Library;
  readonly #actions: LibraryActions;
  readonly #list = el('ul', { class: 'library-list' });
  readonly #note = el('div', { class: 'library-note' });
  readonly #entries = new Map<string, Entry>();
  readonly #uploads = new Map<string, UploadRow>();
  readonly #seen: IntersectionObserver;
  #selected: string | null = null;

  constructor(library: Library, actions: LibraryActions) {
    this.#library = library;
    this.#actions = actions;
    this.#list.addEventListener('keydown', (event) => this.#arrows(event));
    const add = el('button', { class: 'button button-quiet library-add', attrs: { type: 'button', title: text.library.addLabel, 'aria-label': text.library.addLabel }, on: { click: actions.choose } }, icon('plus'), el('span', { text: text.library.add }));
    this.element = el(
      'nav',
      { class: 'library', attrs: { 'aria-label': text.library.label } },
      el('div', { class: 'pane-head' }, el('h2', { text: text.library.label }), add),
      this.#note,
      this.#list,
    );
    this.#seen = new IntersectionObserver((changes) => this.#appeared(changes), { root: null, rootMargin: '100px' });
    this.render();
  }

  /** Marks a video as the one being shown. */
  select(id: string | null): void {
    if (this.#selected === id) return;
    this.#selected = id;
    this.render();
    const entry = id === null ? undefined : this.#entries.get(id);
    if (entry) revealIn(this.#list, entry.row);
  }

  render(): void {
    this.#renderNote();
    const rows: HTMLElement[] = [];
    for (const upload of this.#library.uploads) {
      let row = this.#uploads.get(upload.key);
      if (!row) this.#uploads.set(upload.key, (row = new UploadRow(upload, () => this.#library.dismiss(upload))));
      row.update();
      rows.push(row.element);
    }
    for (const video of this.#library.videos) {
      const entry = this.#entries.get(video.id) ?? this.#create(video);
      this.#update(entry, video);
      rows.push(entry.row);
    }
    this.#forgetGone();
    place(this.#list, rows);
  }

  #renderNote(): void {
    const { loaded, loadError, videos, uploads } = this.#library;
    const note = loadError !== null && !loaded ? text.library.loadFailed : !loaded ? text.library.loading : videos.length + uploads.length === 0 ? text.library.none : '';
    setText(this.#note, note);
    this.#note.hidden = note === '';
  }

  #create(video: Video): Entry {
    const canvas = el('canvas', { attrs: { width: 160, height: 90, 'aria-hidden': 'true' } });
    const bar = el('progress', { class: 'bar', attrs: { max: 1, 'aria-hidden': 'true' } });
    const name = el('span', { class: 'library-name' });
    const meta = el('span', { class: 'library-meta' });
    const button = el(
      'button',
      { class: 'library-item', attrs: { type: 'button' }, on: { click: () => this.#actions.select(entry.video) } },
      el('span', { class: 'thumbnail' }, canvas, icon('warning'), bar),
      el('span', { class: 'library-words' }, name, meta),
    );
    const remove = el('button', { class: 'icon-button library-remove', attrs: { type: 'button', title: text.library.remove(video.name), 'aria-label': text.library.remove(video.name) }, on: { click: () => this.#actions.remove(entry.video) } }, icon('trash'));
    const row = el('li', { class: 'library-row' }, button, remove);
    const entry: Entry = { row, button, name, meta, bar, canvas, video, seen: false, painted: null };
    this.#entries.set(video.id, entry);
    this.#seen.observe(row);
    return entry;
  }

  #update(entry: Entry, video: Video): void {
    entry.video = video;
    setText(entry.name, video.name);
    setText(entry.meta, describe(video));
    entry.row.classList.toggle('is-failed', video.state === 'failed');
    setAttribute(entry.button, 'aria-current', video.id === this.#selected ? 'true' : null);
    const { progress } = video;
    const running = video.state === 'reading' || video.state === 'training';
    entry.bar.hidden = !running;
    if (running) entry.bar.value = progress && progress.total > 0 ? progress.done / progress.total : 0;
    this.#paint(entry);
  }

  #paint(entry: Entry): void {
    const { video } = entry;
    const ready = video.container_stage === 'checkpoint' || video.container_stage === 'final';
    if (!entry.seen || !ready || entry.painted === video.container_version) return;
    entry.painted = video.container_version;
    this.#actions.thumbnail(video, entry.canvas);
  }

  #appeared(changes: readonly IntersectionObserverEntry[]): void {
    for (const { isIntersecting, target } of changes) {
      const entry = [...this.#entries.values()].find(({ row }) => row === target);
      if (!isIntersecting || !entry) continue;
      entry.seen = true;
      this.#seen.unobserve(target);
      this.#paint(entry);
    }
  }

  #forgetGone(): void {
    for (const [id, { row }] of this.#entries) {
      if (this.#library.find(id)) continue;
      this.#seen.unobserve(row);
      this.#entries.delete(id);
    }
    for (const [key, { upload }] of this.#uploads) if (!this.#library.uploads.includes(upload)) this.#uploads.delete(key);
  }

  /** Up and down (left and right in the strip) move between videos. */
  #arrows(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (step === undefined || !(event.target instanceof HTMLElement)) return;
    const buttons = [...this.#list.querySelectorAll<HTMLButtonElement>('.library-item')];
    const at = buttons.findIndex((button) => button.parentElement === (event.target as HTMLElement).parentElement);
    const next = buttons[at + step];
    if (at < 0 || !next) return;
    event.preventDefault();
    next.focus();
  }
}

/** A running or failed upload. */
class UploadRow {
  readonly upload: Upload;
  readonly element: HTMLLIElement;
  readonly #meta = el('span', { class: 'library-meta' });
  readonly #bar = el('progress', { class: 'bar', attrs: { max: 1 } });
  readonly #cancel: HTMLButtonElement;

  constructor(upload: Upload, dismiss: () => void) {
    this.upload = upload;
    this.#cancel = el('button', { class: 'icon-button library-remove is-shown', attrs: { type: 'button' }, on: { click: dismiss } }, icon('close'));
    this.#bar.setAttribute('aria-label', upload.name);
    this.element = el(
      'li',
      { class: 'library-row' },
      el('div', { class: 'library-item is-upload' }, el('span', { class: 'thumbnail' }, icon('warning'), this.#bar), el('span', { class: 'library-words' }, el('span', { class: 'library-name', text: upload.name }), this.#meta)),
      this.#cancel,
    );
  }

  update(): void {
    const { upload } = this;
    const share = upload.total > 0 ? upload.sent / upload.total : 0;
    setText(this.#meta, upload.error ?? (share >= 1 ? text.state.preparing : text.state.uploading(formatShare(share))));
    this.element.classList.toggle('is-failed', upload.error !== null);
    this.#bar.hidden = upload.error !== null;
    this.#bar.value = share;
    const label = upload.error === null ? text.library.cancelUpload(upload.name) : text.library.dismiss(upload.name);
    setAttribute(this.#cancel, 'aria-label', label);
    setAttribute(this.#cancel, 'title', label);
  }
}

/** One line on where a video stands. */
function describe(video: Video): string {
  const { progress, state } = video;
  const share = progress && progress.total > 0 ? formatShare(progress.done / progress.total) : '';
  if (state === 'failed') return text.state.failed;
  if (state === 'queued') return text.state.queued;
  if (state === 'reading' && !video.askable) return progress?.stage === 'features' ? text.state.features(share) : text.state.reading(share);
  if (state === 'training' || state === 'reading') {
    const psnr = progress?.psnr_db ?? video.psnr_db;
    return psnr === null ? text.state.askable : text.state.sharpening(text.stages.psnr(psnr.toFixed(1)));
  }
  const length = video.kind === 'photo' ? text.state.photo : video.duration_s === null ? null : formatClock(video.duration_s);
  const size = video.container_bytes === null ? null : formatBytes(video.container_bytes);
  return [length, size].filter((part) => part !== null).join(' · ');
}

/** Brings the children into this order, moving only what is out of place so that focus stays. */
function place(list: HTMLElement, rows: readonly HTMLElement[]): void {
  rows.forEach((row, index) => {
    const there = list.children[index];
    if (there !== row) list.insertBefore(row, there ?? null);
  });
  while (list.children.length > rows.length) list.lastElementChild?.remove();
}
