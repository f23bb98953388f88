import type { Video } from '../sdk/index.js';
import type { ContainerSource, Decoder } from './decoder.js';
import { el, icon, setAttribute, setText, type IconName } from './dom.js';
import { choice } from './choice.js';
import { Facts } from './facts.js';
import { formatBytes, formatShare, formatTime } from './format.js';
import { LatentMap } from './latent-map.js';
import { reason, type Upload } from './library.js';
import { Playback, speeds, type Reel, type Shown } from './playback.js';
import { ProgressView } from './progress-view.js';
import { Signal } from './signal.js';
import type { Likeness } from './similarity.js';
import { text } from './strings.js';
import { Timeline } from './timeline.js';
import { WidthSlider } from './width-slider.js';

export interface PlayerActions {
  /** The container of a video as it is now. */
  readonly source: (video: Video) => ContainerSource;
}

/** The player: the frame, the timeline, the controls and what there is to know about the video. */
export class Player {
  readonly element: HTMLElement;
  readonly playback: Playback;
  /** A container was opened; `playback.reel` has it. */
  readonly opened = new Signal();
  readonly #decoder: Decoder;
  readonly #actions: PlayerActions;
  readonly #timeline: Timeline;
  readonly #facts = new Facts();
  readonly #progress = new ProgressView();
  readonly #width: WidthSlider;
  readonly #map: LatentMap;
  readonly #title = el('h2', { class: 'player-title' });
  readonly #canvas = el('canvas', { class: 'stage-canvas', attrs: { role: 'img' } });
  readonly #overlay = el('div', { class: 'stage-overlay' });
  readonly #toggle = el('button', { class: 'icon-button player-toggle', attrs: { type: 'button' }, on: { click: () => this.playback.toggle() } });
  readonly #clock = el('span', { class: 'player-clock' });
  readonly #decoded = el('span', { class: 'player-decoded' });
  readonly #controls: HTMLElement;
  #video: Video | null = null;
  #info: Reel['info'] | null = null;
  /** The container version last asked for. */
  #loading = '';
  #icon: IconName | null = null;

  constructor(decoder: Decoder, actions: PlayerActions) {
    this.#decoder = decoder;
    this.#actions = actions;
    this.playback = new Playback(decoder);
    this.#timeline = new Timeline(decoder, this.playback);
    this.#width = new WidthSlider((width) => this.playback.setWidth(width));
    this.#map = new LatentMap(decoder, this.playback);
    const options = speeds.map((speed) => ({ value: speed, label: text.player.speeds[speed][0], title: text.player.speeds[speed][1] }));
    const speed = choice('speed', text.player.speed, options, (value) => this.playback.setSpeed(value));
    this.#controls = el('div', { class: 'player-controls' }, this.#toggle, this.#clock, this.#decoded, speed, this.#width.element);
    this.element = el(
      'section',
      { class: 'player', attrs: { 'aria-label': text.player.label } },
      el('div', { class: 'pane-head' }, this.#title, el('p', { class: 'player-note', text: text.player.note })),
      el('div', { class: 'stage' }, this.#canvas, this.#overlay),
      this.#timeline.element,
      this.#controls,
      this.#progress.element,
      this.#facts.element,
      this.#map.element,
    );
    this.#canvas.addEventListener('click', () => this.playback.toggle());
    this.playback.shown.listen((shown) => this.#draw(shown));
    this.playback.moved.listen(() => this.#renderControls());
    this.playback.failed.listen((error) => this.#say(text.player.decodeFailed, error.message, true));
  }

  /** Shows a video as it stands now; called again whenever it changed. */
  show(video: Video | null): void {
    if (video?.id !== this.#video?.id) this.#clear();
    this.#video = video;
    this.element.classList.toggle('is-empty', video === null);
    this.element.classList.toggle('is-unread', video?.state === 'failed' && video.container_version === null);
    setText(this.#title, video?.name ?? text.player.noneTitle);
    setAttribute(this.#canvas, 'aria-label', video ? text.player.canvas(video.name) : text.player.noneTitle);
    if (!video) {
      this.#say(text.player.noneTitle, text.player.noneText);
      this.#progress.element.hidden = true;
      this.#facts.element.hidden = true;
      return;
    }
    this.#progress.update(video);
    this.#facts.update(video, this.#info);
    if (video.state === 'failed') this.#say(text.player.failedTitle, video.error?.message ?? '');
    else if (video.container_version === null) this.#say('', '');
    if (video.container_version !== null) void this.#load(video);
  }

  /** Shows a file that is still on its way. */
  showUpload(upload: Upload): void {
    if (this.#video !== null || this.#title.textContent !== upload.name) this.#clear();
    this.#video = null;
    this.element.classList.remove('is-empty');
    this.element.classList.add('is-unread');
    setText(this.#title, upload.name);
    setAttribute(this.#canvas, 'aria-label', upload.name);
    this.#facts.element.hidden = true;
    this.#progress.updateUpload(upload);
    if (upload.error !== null) this.#say(text.player.uploadFailed, upload.error);
    else this.#say(text.state.uploading(formatShare(upload.sent / Math.max(1, upload.total))), '');
  }

  /** Lights up on the timeline what is like a question. */
  showLikeness(likeness: Likeness | null): void {
    this.#timeline.showLikeness(likeness);
  }

  /** The colours of the page changed. */
  redraw(): void {
    this.#map.redraw();
  }

  async #load(video: Video): Promise<void> {
    const source = this.#actions.source(video);
    if (source.key === this.#loading) return;
    this.#loading = source.key;
    const current = (): boolean => this.#loading === source.key;
    if (this.playback.reel?.source.group !== source.group) this.#say(text.player.decoding, '');
    try {
      const info = await this.#decoder.info(source);
      if (!current()) return;
      this.#info = info;
      this.#facts.update(video, info);
      this.#width.offer(info);
      const reel = { source, info };
      this.playback.load(reel);
      this.#timeline.load(reel);
      this.#map.load(reel);
      this.#renderControls();
      this.opened.emit();
      if (!info.pictures) await this.#showLatents(source, current);
    } catch (error) {
      if (!current()) return;
      this.#loading = '';
      this.#say(text.player.decodeFailed, reason(error), true);
    }
  }

  /** Before the first pictures, the latents themselves are what there is to see. */
  async #showLatents(source: ContainerSource, current: () => boolean): Promise<void> {
    this.#say(text.player.waiting, text.player.waitingAskable);
    const picture = await this.#decoder.latents(source);
    if (current()) this.#paint(picture, true);
    picture.close();
  }

  #paint(picture: ImageBitmap, latents: boolean): void {
    if (this.#canvas.width !== picture.width || this.#canvas.height !== picture.height) {
      this.#canvas.width = picture.width;
      this.#canvas.height = picture.height;
    }
    this.#canvas.classList.toggle('is-latents', latents);
    this.#canvas.getContext('2d')?.drawImage(picture, 0, 0);
  }

  #clear(): void {
    this.#loading = '';
    this.#info = null;
    this.playback.load(null);
    this.#timeline.load(null);
    this.#timeline.showLikeness(null);
    this.#map.load(null);
    this.#canvas.getContext('2d')?.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    setText(this.#decoded, '');
    this.#say('', '');
    this.#renderControls();
  }

  #draw({ frame }: Shown): void {
    const { bitmap } = frame;
    this.#paint(bitmap, false);
    const bytes = this.#video?.container_bytes ?? 0;
    setText(this.#decoded, text.player.decodedFrom(formatBytes(bytes), Math.max(1, Math.round(frame.took_ms))));
    if (this.#video?.state !== 'failed') this.#say('', '');
  }

  #renderControls(): void {
    const { reel, playing, atEnd, index, time_s } = this.playback;
    const moving = reel !== null && reel.info.pictures && reel.info.frames > 1;
    this.element.classList.toggle('is-still', reel !== null && reel.info.frames === 1);
    this.#controls.classList.toggle('is-off', reel === null || !reel.info.pictures);
    this.#toggle.disabled = !moving;
    const [name, label]: [IconName, string] = playing ? ['pause', text.player.pause] : atEnd && moving ? ['replay', text.player.replay] : ['play', text.player.play];
    if (this.#icon !== name) {
      this.#icon = name;
      this.#toggle.replaceChildren(icon(name));
      setAttribute(this.#toggle, 'aria-label', label);
      setAttribute(this.#toggle, 'title', label);
    }
    setText(this.#clock, reel ? `${formatTime(time_s)} / ${formatTime(reel.info.duration_s)}` : '');
    setAttribute(this.#clock, 'title', reel ? text.player.frame(index + 1, reel.info.frames) : null);
  }

  /** Words over the stage; none takes them away. */
  #say(title: string, words: string, retry = false): void {
    const again = (): void => {
      this.#loading = '';
      if (this.#video) this.show(this.#video);
      this.playback.retry();
    };
    this.#overlay.hidden = title === '' && words === '';
    this.#overlay.replaceChildren(
      el('p', { class: 'stage-title', text: title }),
      el('p', { class: 'stage-text', text: words }),
      ...(retry ? [el('button', { class: 'button', text: text.library.tryAgain, attrs: { type: 'button' }, on: { click: again } })] : []),
    );
  }
}
