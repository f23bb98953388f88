import type { Video, VideoProgress } from '../sdk/index.js';
import { el, setAttribute, setText } from './dom.js';
import { formatBytes, formatLeft } from './format.js';
import type { Upload } from './library.js';
import { text } from './strings.js';

const steps = ['upload', 'features', 'training'] as const;
type Step = (typeof steps)[number];

/** Where a file stands on its way from upload to its final pictures: three steps with a bar under the running one. Hidden once it is ready. */
export class ProgressView {
  readonly element: HTMLElement;
  readonly #steps = new Map(steps.map((step) => [step, el('li', { class: 'steps-step', text: text.stages[step] })]));
  readonly #bar = el('progress', { class: 'bar', attrs: { max: 1, 'aria-label': text.stages.label } });
  readonly #now = el('span');
  readonly #figures = el('span', { class: 'steps-figures' });

  constructor() {
    this.element = el(
      'section',
      { class: 'steps', attrs: { 'aria-label': text.stages.label } },
      el('ol', { class: 'steps-list' }, ...this.#steps.values()),
      this.#bar,
      el('p', { class: 'steps-now' }, this.#now, this.#figures),
    );
  }

  update(video: Video): void {
    const running = video.state === 'queued' || video.state === 'reading' || video.state === 'training';
    this.element.hidden = !running;
    if (!running) return;
    const { progress } = video;
    this.#at(video.askable ? 'training' : 'features', video.state !== 'queued', progress && progress.total > 0 ? progress.done / progress.total : 0);
    setText(this.#now, sentence(video));
    const psnr = progress?.psnr_db ?? null;
    const left = progress?.eta_s ?? null;
    setText(
      this.#figures,
      [psnr === null ? null : text.stages.psnr(psnr.toFixed(1)), left === null ? null : text.stages.left(formatLeft(left))].filter((part) => part !== null).join(' · '),
    );
  }

  /** A file on its way to the server. */
  updateUpload({ sent, total, error }: Upload): void {
    this.element.hidden = error !== null;
    this.#at('upload', true, sent / Math.max(1, total));
    setText(this.#now, text.stages.uploadNow(formatBytes(sent), formatBytes(total)));
    setText(this.#figures, '');
  }

  /** @param share of the step, in [0, 1] */
  #at(now: Step, running: boolean, share: number): void {
    for (const [step, element] of this.#steps) {
      element.classList.toggle('is-done', steps.indexOf(step) < steps.indexOf(now));
      element.classList.toggle('is-now', step === now && running);
      setAttribute(element, 'aria-current', step === now ? 'step' : null);
    }
    this.#bar.value = Math.min(1, share);
  }
}

function sentence({ state, progress, askable }: Video): string {
  if (state === 'queued' || !progress) return askable ? text.stages.askableNow(text.stages.sharpenNow) : text.stages.queued;
  const now = doing(progress);
  return askable ? text.stages.askableNow(now) : now;
}

function doing({ stage, done, total }: VideoProgress): string {
  switch (stage) {
    case 'frames':
      return text.stages.framesNow(done, total);
    case 'features':
      return text.stages.featuresNow(done, total);
    case 'training':
      return text.stages.sharpenNow;
    case 'writing':
      return text.stages.writingNow;
  }
}
