/** The layout of a HEIF photo that is put together of tiles, as telephones store theirs (ISO/IEC 23008-12, 6.6.2.3). */
import type { Orientation } from './colour.js';
import { MAX_HEIF_ITEMS } from './limits.js';

export interface TileGrid {
  /** Items of the tiles, row by row. */
  readonly tiles: readonly number[];
  readonly columns: number;
  /** Pixels of the whole picture before its turn; the tiles may reach beyond. */
  readonly width: number;
  readonly height: number;
  readonly orientation: Orientation;
}

interface Box {
  readonly type: string;
  readonly body: DataView;
}

/**
 * Reads the body of a top-level box "meta".
 *
 * @returns null where the primary picture is not a grid, or its description is damaged
 */
export function readTileGrid(meta: DataView): TileGrid | null {
  try {
    const boxes = boxesOf(meta, 4);
    const body = (type: string): DataView => find(boxes, type).body;
    const primary = new Fields(body('pitm')).id(body('pitm').getUint8(0) > 0);
    if (typesOf(body('iinf')).get(primary) !== 'grid') return null;
    const grid = itemData(body('iloc'), primary, body('idat'));
    const wide = (grid.getUint8(1) & 1) !== 0;
    const rows = grid.getUint8(2) + 1;
    const columns = grid.getUint8(3) + 1;
    const width = wide ? grid.getUint32(4) : grid.getUint16(4);
    const height = wide ? grid.getUint32(8) : grid.getUint16(6);
    const tiles = partsOf(body('iref'), primary);
    if (tiles.length !== rows * columns || width === 0 || height === 0) return null;
    return { tiles, columns, width, height, orientation: orientationOf(boxesOf(body('iprp'), 0), primary) };
  } catch (error) {
    // A DataView throws this where a field would lie beyond its box.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** Reads the numbers of a box one after the other, from behind its version and flags. */
class Fields {
  #at: number;

  constructor(
    private readonly view: DataView,
    at = 4,
  ) {
    this.#at = at;
  }

  /** A whole number of 0, 1, 2, 4 or 8 bytes. */
  number(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    if (bytes === 0) return 0;
    if (bytes === 8) return Number(this.view.getBigUint64(at));
    if (bytes === 4) return this.view.getUint32(at);
    return bytes === 2 ? this.view.getUint16(at) : this.view.getUint8(at);
  }

  id(wide: boolean): number {
    return this.number(wide ? 4 : 2);
  }

  /** A number of entries. @throws RangeError above MAX_HEIF_ITEMS */
  count(bytes: number): number {
    const count = this.number(bytes);
    if (count > MAX_HEIF_ITEMS) throw new RangeError(`${count} entries`);
    return count;
  }

  get position(): number {
    return this.#at;
  }
}

function boxesOf(view: DataView, start: number): Box[] {
  const boxes: Box[] = [];
  for (let at = start; at + 8 <= view.byteLength; ) {
    const size = view.getUint32(at);
    if (size < 8 || at + size > view.byteLength || boxes.length === MAX_HEIF_ITEMS) throw new RangeError('a damaged box');
    const type = String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + at + 4, 4));
    boxes.push({ type, body: new DataView(view.buffer, view.byteOffset + at + 8, size - 8) });
    at += size;
  }
  return boxes;
}

function find(boxes: readonly Box[], type: string): Box {
  const found = boxes.find((box) => box.type === type);
  if (found === undefined) throw new RangeError(`no box "${type}"`);
  return found;
}

/** The type of each item. */
function typesOf(iinf: DataView): Map<number, string> {
  const types = new Map<number, string>();
  for (const { type, body } of boxesOf(iinf, iinf.getUint8(0) === 0 ? 6 : 8)) {
    if (type !== 'infe') continue;
    const fields = new Fields(body);
    const id = fields.id(body.getUint8(0) > 2);
    fields.number(2);
    types.set(id, String.fromCharCode(...[0, 1, 2, 3].map(() => fields.number(1))));
  }
  return types;
}

/** The bytes of an item that lies in the box "idat". */
function itemData(iloc: DataView, wanted: number, idat: DataView): DataView {
  const version = iloc.getUint8(0);
  const sizes = new Fields(iloc).number(2);
  const [offsetBytes, lengthBytes, baseBytes, indexBytes] = [12, 8, 4, 0].map((shift) => (sizes >> shift) & 15) as [number, number, number, number];
  const fields = new Fields(iloc, 6);
  for (let left = fields.count(version < 2 ? 2 : 4); left > 0; left--) {
    const id = fields.id(version > 1);
    const method = version > 0 ? fields.number(2) & 15 : 0;
    fields.number(2);
    const base = fields.number(baseBytes);
    for (let extents = fields.count(2); extents > 0; extents--) {
      fields.number(version > 0 ? indexBytes : 0);
      const offset = base + fields.number(offsetBytes);
      const length = fields.number(lengthBytes);
      if (id === wanted && method === 1) return new DataView(idat.buffer, idat.byteOffset + offset, Math.min(length, idat.byteLength - offset));
    }
  }
  throw new RangeError('the layout of the grid is not there');
}

/** The items that an item is derived from. */
function partsOf(iref: DataView, from: number): number[] {
  const wide = iref.getUint8(0) > 0;
  for (const { type, body } of boxesOf(iref, 4)) {
    const fields = new Fields(body, 0);
    if (type !== 'dimg' || fields.id(wide) !== from) continue;
    return Array.from({ length: fields.count(2) }, () => fields.id(wide));
  }
  return [];
}

/** What the properties of an item make of its picture: quarter turns anticlockwise ("irot") and mirrorings ("imir"), in their order. */
function orientationOf(iprp: readonly Box[], item: number): Orientation {
  const properties = boxesOf(find(iprp, 'ipco').body, 0);
  let turn = 0;
  let flip = false;
  for (const index of propertiesOf(find(iprp, 'ipma').body, item)) {
    const { type, body } = properties[index - 1] ?? { type: '', body: new DataView(new ArrayBuffer(1)) };
    // Behind a mirroring a turn goes the other way round: then it is as if it came before.
    if (type === 'irot') turn += (flip ? 1 : -1) * (body.getUint8(0) & 3);
    if (type !== 'imir') continue;
    flip = !flip;
    // Mirrored top to bottom is mirrored left to right, turned by half.
    if ((body.getUint8(0) & 1) === 1) turn += 2;
  }
  return { rotation: ((((turn % 4) + 4) % 4) * 90) as Orientation['rotation'], flip };
}

/** Numbers of an item's properties, counted from 1. */
function propertiesOf(ipma: DataView, wanted: number): number[] {
  const wideIds = ipma.getUint8(0) > 0;
  const wideIndices = (ipma.getUint8(3) & 1) !== 0;
  const fields = new Fields(ipma);
  for (let items = fields.count(4); items > 0; items--) {
    const id = fields.id(wideIds);
    // The highest bit says whether a reader must know the property.
    const indices = Array.from({ length: fields.count(1) }, () => (wideIndices ? fields.number(2) & 0x7fff : fields.number(1) & 0x7f));
    if (id === wanted) return indices;
  }
  return [];
}
