/**
 * Images of transform coefficients: what of them encoder and decoder must agree on (docs/container.md, section 6.4).
 *
 * An image is covered by square cells of `patch` numbers a side, in each of CHANNELS channels; a cell holds the coefficients of one patch, the lowest
 * frequencies at its upper left. Cells are cut into groups of GROUP x GROUP. A group is coded as a flag and, where it is not empty, as magnitudes.
 * Both are drawn with chances that depend on one number: a weighted sum of the magnitudes around, in space, in frequency, and in the two images before.
 */
import { checkLimit } from '../bytes.js';
import { malformed } from '../errors.js';
import { MAX_IMAGE_ELEMENTS, MAX_IMAGE_ELEMENTS_PER_BYTE, MAX_IMAGE_SIZE_PER_BYTE, MAX_IMAGES, MAX_PATCH } from '../limits.js';

/** Color channels of a pixel, and of a coefficient. */
export const CHANNELS = 3;
export const GROUP = 4;
export const GROUP_SIZE = GROUP * GROUP;

/** Sizes of a stack of images. */
export interface ImageShape {
  /** Number of images, K. */
  readonly count: number;
  /** Rows and columns of cells. */
  readonly rows: number;
  readonly columns: number;
  /** Side of a cell in numbers, a multiple of GROUP. */
  readonly patch: number;
}

/**
 * A stack of images of whole numbers, of which those that are not zero are kept. Image k has the numbers `starts[k]` to before `starts[k + 1]`;
 * the i-th lies at `places[i]` = (row * width + column) * CHANNELS + channel, rising within an image only from cell to cell.
 */
export interface LevelImages extends ImageShape {
  readonly starts: Uint32Array;
  readonly places: Uint32Array;
  readonly levels: Int16Array;
}

/** Largest magnitude of a level: 16 bits with a sign. */
export const MAX_LEVEL = 32_767;

/** Numbers of one image. */
export function imageSize({ rows, columns, patch }: ImageShape): number {
  return rows * columns * patch * patch * CHANNELS;
}

/** @throws ContainerError for sizes that no stack of images has. `what` names it. */
export function checkShape(shape: ImageShape, what: string): void {
  const { count, rows, columns, patch } = shape;
  if (count < 1 || rows < 1 || columns < 1 || patch < GROUP || patch % GROUP !== 0) {
    throw malformed(`${what} cannot be ${count} images of ${rows} x ${columns} cells of ${patch} x ${patch} numbers.`);
  }
  checkLimit(count, MAX_IMAGES, `The number of images of ${what}`);
  checkLimit(patch, MAX_PATCH, `The side of a cell of ${what}`);
  checkLimit(count * imageSize(shape), MAX_IMAGE_ELEMENTS, `The number of values of ${what}`);
}

/** Bytes of the shortest stream that a reader takes for images of this shape. */
export function leastStreamBytes(shape: ImageShape): number {
  const size = imageSize(shape);
  return Math.ceil(Math.max(size / MAX_IMAGE_SIZE_PER_BYTE, (shape.count * size) / MAX_IMAGE_ELEMENTS_PER_BYTE));
}

/** What a magnitude adds to the sum of those that come after it, in UNITs: neighbours in space, in frequency, and in the images that follow. */
export const UNIT = 128;
export const WEIGHTS = { right: 15, below: 13, belowLeft: 8, higherRow: 19, higherColumn: 17, next: 15, nextLeft: 5, nextAbove: 5, afterNext: 12 } as const;
/** A larger magnitude counts as this one: sums stay within 16 bits. */
export const MAX_COUNTED = 255;

/** Classes of sums, two and a half an octave from UNIT / 256 on. */
export const CLASSES = 32;
/** CLASS_OF[sum]; larger sums are of the last class. */
export const CLASS_OF: Uint8Array = Uint8Array.from({ length: 4096 }, (_, sum) => classOf(sum / UNIT));
export const LARGEST_SUM = CLASS_OF.length - 1;

/** Of an expected magnitude. */
export function classOf(expected: number): number {
  return Math.min(CLASSES - 1, Math.max(0, Math.floor(Math.log2(Math.max(expected, 1 / 256)) * 2.5 + 20)));
}

/** Tokens of a magnitude: itself, and from ESCAPE on an Exp-Golomb code of what is more. */
export const ESCAPE = 15;
export const TOKENS = ESCAPE + 1;
/** Rows of chances: of the flags, by the class of their group's sum, then of the magnitudes. */
export const CONTEXTS = 2 * CLASSES;

/** The sums around every number and every group of the image that is coded now, and of the two after it. */
export class Surroundings {
  readonly rowStride: number;
  /** Groups along a side of a cell. */
  readonly side: number;
  /** Sums of the numbers, by place; of the groups, by ((cell * CHANNELS + channel) * side + row) * side + column. */
  sums: Uint16Array;
  groupSums: Uint32Array;
  #next: Uint16Array;
  #nextGroups: Uint32Array;
  #after: Uint16Array;
  #afterGroups: Uint32Array;

  constructor(readonly shape: ImageShape) {
    const size = imageSize(shape);
    this.rowStride = shape.columns * shape.patch * CHANNELS;
    this.side = shape.patch / GROUP;
    [this.sums, this.#next, this.#after] = [new Uint16Array(size), new Uint16Array(size), new Uint16Array(size)];
    const groups = size / GROUP_SIZE;
    [this.groupSums, this.#nextGroups, this.#afterGroups] = [new Uint32Array(groups), new Uint32Array(groups), new Uint32Array(groups)];
  }

  /** The image is done: the next one's sums are those that it left. */
  nextImage(): void {
    const [sums, groups] = [this.sums, this.groupSums];
    [this.sums, this.#next, this.#after] = [this.#next, this.#after, sums.fill(0)];
    [this.groupSums, this.#nextGroups, this.#afterGroups] = [this.#nextGroups, this.#afterGroups, groups.fill(0)];
  }

  /** Lets what comes after it know of a magnitude. `row` and `column` are the cell's, `y` and `x` the number's within it. */
  add(place: number, magnitude: number, row: number, column: number, y: number, x: number): void {
    const { sums, rowStride } = this;
    const { rows, columns, patch } = this.shape;
    const size = magnitude < MAX_COUNTED ? magnitude : MAX_COUNTED;
    const cell = patch * CHANNELS;
    const line = patch * rowStride;
    const next = this.#next;
    if (x + 1 < patch) sums[place + CHANNELS]! += WEIGHTS.higherColumn * size;
    if (y + 1 < patch) sums[place + rowStride]! += WEIGHTS.higherRow * size;
    if (column + 1 < columns) sums[place + cell]! += WEIGHTS.right * size;
    if (row + 1 < rows) {
      sums[place + line]! += WEIGHTS.below * size;
      if (column > 0) sums[place + line - cell]! += WEIGHTS.belowLeft * size;
    }
    next[place]! += WEIGHTS.next * size;
    if (column > 0) next[place - cell]! += WEIGHTS.nextLeft * size;
    if (row > 0) next[place - line]! += WEIGHTS.nextAbove * size;
    this.#after[place]! += WEIGHTS.afterNext * size;
  }

  /** The same for the sum of a group's magnitudes. `y` and `x` are the group's within the cell. */
  addGroup(group: number, magnitudes: number, row: number, column: number, y: number, x: number): void {
    const { groupSums, side } = this;
    const { rows, columns } = this.shape;
    const cell = CHANNELS * side * side;
    const line = columns * cell;
    const next = this.#nextGroups;
    if (x + 1 < side) groupSums[group + 1]! += WEIGHTS.higherColumn * magnitudes;
    if (y + 1 < side) groupSums[group + side]! += WEIGHTS.higherRow * magnitudes;
    if (column + 1 < columns) groupSums[group + cell]! += WEIGHTS.right * magnitudes;
    if (row + 1 < rows) {
      groupSums[group + line]! += WEIGHTS.below * magnitudes;
      if (column > 0) groupSums[group + line - cell]! += WEIGHTS.belowLeft * magnitudes;
    }
    next[group]! += WEIGHTS.next * magnitudes;
    if (column > 0) next[group - cell]! += WEIGHTS.nextLeft * magnitudes;
    if (row > 0) next[group - line]! += WEIGHTS.nextAbove * magnitudes;
    this.#afterGroups[group]! += WEIGHTS.afterNext * magnitudes;
  }
}

/** Of each channel of an image, how many rows and columns of groups have any number in some cell: (CHANNELS * 2), row and column by turns. */
export type Extents = Uint8Array;

/** Groups of all images within their extents, in every cell. */
export function groupsWithin(extents: readonly ArrayLike<number>[], { rows, columns }: ImageShape): number {
  let groups = 0;
  for (const extent of extents) for (let i = 0; i < 2 * CHANNELS; i += 2) groups += (extent[i] as number) * (extent[i + 1] as number);
  return groups * rows * columns;
}
