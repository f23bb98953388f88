/** HEIF photos that are put together of tiles. Runs in the decoder process only. */
import { open } from 'node:fs/promises';
import { Frame as AvFrame, Packet, type Stream } from 'node-av/lib';
import type { Orientation } from './colour.js';
import { Demuxer } from './demuxer.node.js';
import { damaged } from './error.js';
import { heldFrames } from './held.js';
import { readTileGrid, type TileGrid } from './heif.js';
import { checked } from './libav.node.js';
import { checkSize, MAX_HEIF_META_BYTES, MAX_PHOTO_PIXELS, MAX_TOP_LEVEL_BOXES } from './limits.js';
import type { MediaFile } from './open.node.js';
import { RgbScaler } from './scaler.node.js';
import { openCodec } from './track-decoder.node.js';
import type { Frame, FrameSource } from './types.js';

const UPRIGHT: Orientation = { rotation: 0, flip: false };

/** A photo of tiles, decoded whole; null where the file is something else. @throws FrameSourceError `too_large`, `media_damaged`. */
export async function openTiles(file: MediaFile): Promise<FrameSource | null> {
  const meta = file.isPhoto ? await metaBox(file) : null;
  const grid = meta === null ? null : readTileGrid(meta);
  if (grid === null) return null;
  checkSize(file.name, grid.width, grid.height, MAX_PHOTO_PIXELS);
  const { frame, missing } = decodeTiles(file, grid);
  const { width, height } = frame;
  return {
    ...heldFrames([frame], 0),
    info: { width, height, duration_s: 0, frames: 1, fps: null, kind: 'photo' },
    warnings: missing === 0 ? [] : [`The file is damaged: ${missing} of the photo's ${grid.tiles.length} tiles could not be decoded and are black.`],
  };
}

/** The body of the file's box "meta", or null. */
async function metaBox({ path }: MediaFile): Promise<DataView | null> {
  const handle = await open(path, 'r');
  try {
    const header = Buffer.alloc(8);
    let offset = 0;
    for (let box = 0; box < MAX_TOP_LEVEL_BOXES; box++) {
      const { bytesRead } = await handle.read(header, 0, 8, offset);
      const size = header.readUInt32BE(0);
      if (bytesRead < 8 || size < 8) return null;
      if (header.toString('latin1', 4, 8) === 'meta') {
        const body = new Uint8Array(Math.min(size - 8, MAX_HEIF_META_BYTES));
        const read = await handle.read(body, 0, body.length, offset + 8);
        return new DataView(body.buffer, 0, read.bytesRead);
      }
      offset += size;
    }
    return null;
  } finally {
    await handle.close();
  }
}

/** libav gives each tile as a track of one packet, whose id is the item's. */
function decodeTiles(file: MediaFile, grid: TileGrid): { frame: Frame; missing: number } {
  const canvas = new Uint8Array(grid.width * grid.height * 3);
  const demuxer = Demuxer.open(file);
  const packet = new Packet();
  packet.alloc();
  let scaler: RgbScaler | null = null;
  let size: { width: number; height: number } | null = null;
  const done = new Set<number>();
  try {
    const streams = new Map(demuxer.streams.map((stream) => [stream.index, stream]));
    for (let next = demuxer.read(packet); next !== 'end'; packet.unref(), next = demuxer.read(packet)) {
      const stream = next === 'packet' ? streams.get(packet.streamIndex) : undefined;
      const place = stream === undefined ? -1 : grid.tiles.indexOf(stream.id);
      if (stream === undefined || place < 0 || done.has(place)) continue;
      withPicture(stream, packet, file.name, (picture) => {
        // All tiles are of one size (6.6.2.3.3).
        size ??= { width: picture.width, height: picture.height };
        scaler ??= new RgbScaler(size, UPRIGHT);
        const left = (place % grid.columns) * size.width;
        const top = Math.floor(place / grid.columns) * size.height;
        put(canvas, grid, { ...size, data: scaler.toRgb(picture) }, left, top);
        done.add(place);
      });
    }
  } finally {
    (scaler as RgbScaler | null)?.close();
    packet.free();
    demuxer.close();
  }
  if (done.size === 0) throw damaged(file.name, new Error('none of its tiles can be decoded'));
  const whole = { width: grid.width, height: grid.height, time_s: 0, data: canvas };
  return { frame: turned(whole, grid.orientation), missing: grid.tiles.length - done.size };
}

/** Calls back with the picture that the packet holds, if it can be decoded. */
function withPicture(stream: Stream, packet: Packet, name: string, use: (picture: AvFrame) => void): void {
  const codec = openCodec(stream, name);
  const picture = new AvFrame();
  picture.alloc();
  try {
    if (codec.sendPacketSync(packet) < 0) return;
    checked(codec.sendPacketSync(null), 'a tile');
    if (codec.receiveFrameSync(picture) >= 0) use(picture);
  } finally {
    picture.free();
    codec.freeContext();
  }
}

type Picture = Omit<Frame, 'time_s'>;

/** Copies a tile to its place, as far as it lies within the picture. */
function put(canvas: Uint8Array, { width, height }: TileGrid, tile: Picture, left: number, top: number): void {
  const columns = Math.min(tile.width, width - left);
  for (let y = 0; y < tile.height && top + y < height && columns > 0; y++) {
    const row = tile.data.subarray(y * tile.width * 3, (y * tile.width + columns) * 3);
    canvas.set(row, ((top + y) * width + left) * 3);
  }
}

function turned(frame: Frame, { rotation, flip }: Orientation): Frame {
  if (rotation === 0 && !flip) return frame;
  const quarter = rotation === 90 || rotation === 270;
  const [width, height] = quarter ? [frame.height, frame.width] : [frame.width, frame.height];
  const data = new Uint8Array(frame.data.length);
  /** Where a pixel goes. */
  const target = (x: number, y: number): number => {
    const [right, below] = [frame.width - 1 - x, frame.height - 1 - y];
    const [toX, toY] = ({ 0: [x, y], 90: [below, x], 180: [right, below], 270: [y, right] } as const)[rotation];
    return (toY * width + (flip ? width - 1 - toX : toX)) * 3;
  };
  // Neighbours stay neighbours: one step in x or y is always the same way.
  const origin = target(0, 0);
  const stepX = target(1, 0) - origin;
  const stepY = target(0, 1) - origin;
  for (let y = 0, from = 0; y < frame.height; y++) {
    for (let x = 0, to = origin + y * stepY; x < frame.width; x++, to += stepX, from += 3) {
      data[to] = frame.data[from] as number;
      data[to + 1] = frame.data[from + 1] as number;
      data[to + 2] = frame.data[from + 2] as number;
    }
  }
  return { width, height, time_s: frame.time_s, data };
}
