import type { Video, VideoProgress } from '../sdk/index.js';
import { el, setAttribute, setText } from './dom.js';
import { formatLeft } from './format.js';
import { text } from './strings.js';

const steps = ['frames', 'askable', 'sharpen'] as const;

/** Where an encoding stands, as three steps with a bar under the running one. Hidden once the video is ready. */
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
    const at = video.askable ? 'sharpen' : 'frames';
    for (const [step, element] of this.#steps) {
      element.classList.toggle('is-done', video.askable && step !== 'sharpen');
      element.classList.toggle('is-now', step === at && video.state !== 'queued');
      setAttribute(element, 'aria-current', step === at ? 'step' : null);
    }
    const { progress } = video;
    this.#bar.value = progress && progress.total > 0 ? Math.min(1, progress.done / progress.total) : 0;
    setText(this.#now, sentence(video));
    const psnr = progress?.psnr_db ?? null;
    const left = progress?.eta_s ?? null;
    setText(
      this.#figures,
      [psnr === null ? null : text.stages.psnr(psnr.toFixed(1)), left === null ? null : text.stages.left(formatLeft(left))].filter((part) => part !== null).join(' · '),
    );
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
