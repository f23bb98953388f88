/** preprocessor_config.json of Hugging Face's image processors, as far as they prepare a square picture. */
import type { ResizeFilter } from '../frames/resize.js';
import { PackError, type TowerConfig } from '../pack/index.js';
import { isObject, type Json } from './settings.js';

/** Pillow's numbers of its filters. */
const FILTERS: Readonly<Record<number, ResizeFilter>> = { 1: 'lanczos', 2: 'triangle', 3: 'bicubic', 4: 'area' };
const OPENAI_MEAN = [0.48145466, 0.4578275, 0.40821073];
const OPENAI_STD = [0.26862954, 0.26130258, 0.27577711];
const HALVES = [0.5, 0.5, 0.5];

/** What each family's processor does where its file says nothing else. */
const DEFAULTS: Readonly<Record<TowerConfig['architecture'], Json>> = {
  clip: { resample: 3, image_mean: OPENAI_MEAN, image_std: OPENAI_STD, do_center_crop: true },
  siglip: { resample: 3, image_mean: HALVES, image_std: HALVES },
  idefics3: { resample: 1, image_mean: HALVES, image_std: HALVES },
  'video-llama': { resample: 3, image_mean: OPENAI_MEAN, image_std: OPENAI_STD },
};

/**
 * @param image side of the tower's input: a processor that makes another size is refused
 * @throws PackError naming the field
 */
export function publishedPreparation(family: TowerConfig['architecture'], file: Json, image: number, where: string): TowerConfig['preparation'] {
  const fields: Json = { ...DEFAULTS[family], ...file };
  const refuse = (field: string, reason: string): never => {
    throw new PackError(`${where}: preprocessor_config.json's ${field} is ${JSON.stringify(fields[field])}; ${reason}`);
  };
  const filter = FILTERS[fields['resample'] as number] ?? refuse('resample', `known are ${Object.keys(FILTERS).join(', ')}`);
  const colours = (field: string): number[] => {
    const value = fields[field];
    const numbers: unknown[] = Array.isArray(value) ? value : [value, value, value];
    return numbers.length === 3 && numbers.every((entry) => typeof entry === 'number' && Number.isFinite(entry)) ? (numbers as number[]) : refuse(field, 'three numbers are due');
  };
  for (const field of ['do_resize', 'do_normalize', 'do_rescale']) if (fields[field] === false) refuse(field, 'towers without it are not known');
  const factor = fields['rescale_factor'] ?? 1 / 255;
  const common = {
    size: image, filter, mean: colours('image_mean'), std: colours('image_std'),
    rescale: typeof factor === 'number' && factor > 0 ? factor : refuse('rescale_factor', 'a positive number is due'),
  };
  if (family === 'idefics3') {
    checkSide('max_image_size', side(fields['max_image_size'], 'longest_edge') ?? image);
    const sampling = fields['video_sampling'];
    const longest = side((isObject(sampling) ? sampling['video_size'] : undefined) ?? fields['size'], 'longest_edge');
    return { ...common, fit: 'squash', ...(longest === null ? {} : { longest }) };
  }
  const shortest = side(fields['size'], 'shortest_edge');
  const square = side(fields['size'], 'height', 'width');
  if (fields['do_center_crop'] !== true) {
    if (shortest !== null && square === null) refuse('size', 'a shorter side without a crop makes no square');
    checkSide('size', square ?? image);
    return { ...common, fit: 'squash' };
  }
  checkSide('crop_size', side(fields['crop_size'], 'height', 'width') ?? image);
  // A size given as a pair of equal sides is a squashed square, which the crop leaves as it is.
  if (square !== null && typeof fields['size'] !== 'number') {
    checkSide('size', square);
    return { ...common, fit: 'squash' };
  }
  return { ...common, fit: 'crop', shortest: shortest ?? square ?? image };

  function checkSide(field: string, value: number): void {
    if (value !== image) refuse(field, `the tower sees ${image} x ${image} pixels`);
  }
}

/** A side among the ways sizes are written: 224, {"shortest_edge": 224}, {"height": 224, "width": 224}; null where it is not this one. */
function side(value: unknown, ...names: readonly string[]): number | null {
  const found: unknown[] = isObject(value) ? names.map((name) => value[name]) : [value];
  const [first] = found;
  return typeof first === 'number' && Number.isInteger(first) && first > 0 && found.every((entry) => entry === first) ? first : null;
}
